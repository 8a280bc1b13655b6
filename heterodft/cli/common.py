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

__all__ = ["campaign_file", "code_option", "console", "echo_json", "json_option", "print_table", "read_campaign",
           "request_chains", "settings_for", "tell"]  # fmt: skip

_WIDTH_OF_A_FILE = 130

campaign_file = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

code_option = click.option(
    "--code", type=click.Choice(["espresso", "vasp"]), help="For this code instead of the one that FILE names."
)


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


def read_campaign(file: Path, *, code: str | None = None) -> Campaign:
    """Read a campaign file, for another code than it names if one is given."""
    from heterodft.workflows.campaign_file import load_campaign

    campaign = load_campaign(file)
    return campaign if code is None else campaign.for_code(code)


def settings_for(campaign: Campaign) -> Settings:
    """Return the settings of this machine, with what the campaign says of running."""
    from heterodft.workflows.settings import load_settings

    return load_settings(command=campaign.run.command)


def request_chains(campaign: Campaign, settings: Settings, *, notes: list[str] | None = None) -> list[list[Request]]:
    """Return the requests of a campaign, a list for each configuration; what the user should hear of is told."""
    from heterodft.workflows.chains import campaign_chains

    notes = [] if notes is None else notes
    chains = campaign_chains(campaign, pseudo_dir=settings.pseudo_dir, notes=notes)
    tell(notes)
    return chains


def tell(notes: Iterable[str]) -> None:
    """Print notes beside the result; one that holds for several structures once, with the first and their number."""
    found: dict[str, list[str]] = {}
    for note in dict.fromkeys(notes):
        name, colon, text = note.partition(": ")
        found.setdefault(text if colon else note, []).append(name if colon else "")
    for text, names in found.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        click.echo(f"note: {names[0]}{more}: {text}" if names[0] else f"note: {text}", err=True)
