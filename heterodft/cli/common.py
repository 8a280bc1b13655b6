"""What the commands share: their file argument, tables that fit the window, JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from heterodft.workflows.calculation import Request
    from heterodft.workflows.campaign import Campaign
    from heterodft.workflows.settings import Settings

__all__ = ["campaign_file", "console", "echo_json", "json_option", "print_table", "read_campaign", "settings_for"]

_WIDTH_OF_A_FILE = 130

campaign_file = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def console(*, stderr: bool = False) -> Console:
    """Return a console as wide as the window, or wide enough for our tables where there is none."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else _WIDTH_OF_A_FILE, highlight=False)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table; columns whose name starts with ``>`` are set to the right."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title) if title else None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(escape(column.lstrip(">")), justify="right" if column.startswith(">") else "left")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    console().print(table)


def echo_json(data: Any) -> None:
    """Print data as JSON."""
    click.echo(json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False))


def read_campaign(file: Path) -> Campaign:
    """Read a campaign file."""
    from heterodft.workflows.campaign_file import load_campaign

    return load_campaign(file)


def settings_for(campaign: Campaign) -> Settings:
    """Return the settings of this machine, with what the campaign says of running."""
    from heterodft.workflows.settings import load_settings

    return load_settings(command=campaign.run.command)


def request_chains(campaign: Campaign, settings: Settings) -> list[list[Request]]:
    """Return the requests of a campaign, a list for each configuration."""
    from heterodft.workflows.chains import campaign_chains

    notes: list[str] = []
    chains = campaign_chains(campaign, pseudo_dir=settings.pseudo_dir, notes=notes)
    for note in notes:
        click.echo(f"note: {note}", err=True)
    return chains
