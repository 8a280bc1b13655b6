"""What the commands share: their file argument, tables that fit the window, JSON."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from heterodft.cli.progress import working

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rich.console import Console
    from rich.table import Table

    from heterodft.templates.setup import Deck
    from heterodft.workflows.built_structures import BuiltStructure
    from heterodft.workflows.calculation import Request
    from heterodft.workflows.campaign import Campaign
    from heterodft.workflows.settings import Settings

__all__ = [
    "build_all",
    "campaign_file",
    "check_inputs",
    "code_option",
    "console",
    "deck_notes",
    "echo_json",
    "json_option",
    "name_in_queue",
    "print_table",
    "read_campaign",
    "request_chains",
    "settings_for",
    "tell",
    "version_for",
    "version_options",
]

_WIDTH_OF_A_FILE = 400
"""Of a table that no window cuts."""

campaign_file = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

code_option = click.option(
    "--code", type=click.Choice(["espresso", "vasp"]), help="For this code instead of the one that FILE names."
)


def version_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name the version to write for."""
    for option, program in (("--vasp-version", "VASP"), ("--pw-version", "pw.x")):
        text = f"Write for this version of {program}{' instead of the installed one' * (program == 'pw.x')}."
        function = click.option(option, metavar="X.Y", callback=_version, help=text)(function)
    return function


def _version(_context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    numbers = text.split(".")
    if len(numbers) not in (2, 3) or not all(number.isdigit() for number in numbers):
        example = "6.7" if parameter.name == "pw_version" else "6.4.2"
        raise click.BadParameter(f"'{text}' is no version; write it as {example}", param_hint=parameter.opts[0])
    return int(numbers[0]), int(numbers[1])


def version_for(
    campaign: Campaign, pw_version: tuple[int, int] | None, vasp_version: tuple[int, int] | None
) -> tuple[int, int] | None:
    """Return the version given for the code of the campaign; refuse one given for the other code."""
    is_vasp = campaign.code == "vasp"
    if (pw_version if is_vasp else vasp_version) is None:
        return vasp_version if is_vasp else pw_version
    option, other = ("--pw-version", "espresso") if is_vasp else ("--vasp-version", "vasp")
    raise click.UsageError(
        f"{option} is for {other}, and the files are written for {campaign.code}; leave it out, or add --code {other}"
    )


def check_inputs(
    campaign: Campaign, requests: Sequence[Request], settings: Settings, *, version: tuple[int, int] | None = None
) -> list[str]:
    """Prepare every input file without writing it, so that what cannot be written is told now; return the notes.

    Where pw.x does not tell its version and none is given, nothing can be checked, and why is told.
    """
    from heterodft.errors import ProgramNotFoundError
    from heterodft.workflows.inputs import prepare_all

    try:
        with working("checking input", len(requests)) as step:
            decks = prepare_all(campaign, requests, settings, version=version, on_each=step)
        return deck_notes(requests, decks)
    except ProgramNotFoundError as error:
        return [f"the inputs are not checked, since {error}; or name the version: --pw-version 6.7"]


def deck_notes(requests: Sequence[Request], decks: Sequence[Deck]) -> list[str]:
    """Return each note of input files once, with what it holds for where that is not all."""
    found: dict[str, list[str]] = {}
    for request, deck in zip(requests, decks, strict=True):
        for note in deck.notes:
            found.setdefault(note, []).append(request.path.partition("/")[2])
    return [
        note
        if len(paths) == len(requests)
        else f"{note} [{paths[0]}{f' and {len(paths) - 1} more' * (len(paths) > 1)}]"
        for note, paths in found.items()
    ]


def console(*, stderr: bool = False) -> Console:
    """Return a console as wide as the window, or wide enough for our tables where there is none."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else _WIDTH_OF_A_FILE, highlight=False)


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    spare: Sequence[str | tuple[str, ...]] = (),
) -> None:
    """Print a table; columns whose name starts with ``>`` are set to the right.

    In a narrow window words go on in a next line, numbers never. Where that is not enough, the columns of `spare` are
    left out, the first ones first (those of a tuple together), and that is said.
    """
    screen, kept = console(), [[str(cell) for cell in row] for row in rows]
    names, left_out = list(columns), list[str]()
    for one in ((), *spare):
        left_out += [one] if isinstance(one, str) else one
        places = [i for i, column in enumerate(names) if column.lstrip(">") not in left_out]
        shown, cells = [names[i] for i in places], [[row[i] for i in places] for row in kept]
        widths = _widths(shown, cells, screen.width)
        if widths is not None:
            break
    with screen.capture() as printed:
        screen.print(_table(title, shown, cells, widths))
    click.echo("\n".join(line.rstrip() for line in printed.get().splitlines()))
    if left_out:
        click.echo(f"Left out in this narrow window: {', '.join(left_out)}; --json has them.", err=True)


_BETWEEN = 3
"""Characters between two columns."""


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]], window: int) -> list[int] | None:
    """Return a width for each column in which no word is broken; None where the window is too narrow for that."""
    from rich.cells import cell_len

    least, widths = [], []
    for i, column in enumerate(columns):
        cells, name = [row[i] for row in rows], column.lstrip(">")
        whole = cells if column.startswith(">") else [word for cell in cells for word in cell.split()]
        least.append(max(map(cell_len, (*whole, *name.split())), default=0))
        widths.append(max(map(cell_len, (*cells, name))))
    room = window - _BETWEEN * len(columns)
    if sum(least) > room:
        return None
    while sum(widths) > room:
        widest = max(range(len(widths)), key=lambda i: (widths[i] > least[i], widths[i]))
        widths[widest] -= 1
    return widths


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], widths: Sequence[int] | None) -> Table:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title) if title else None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for i, column in enumerate(columns):
        justify: Any = "right" if column.startswith(">") else "left"
        width = None if widths is None else widths[i]
        table.add_column(escape(column.lstrip(">")), justify=justify, overflow="fold", width=width)
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    return table


def echo_json(data: Any) -> None:
    """Print data as JSON."""
    click.echo(json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False))


def read_campaign(file: Path, *, code: str | None = None) -> Campaign:
    """Read a campaign file, for another code than it names if one is given."""
    from heterodft.workflows.campaign_file import load_campaign

    campaign = load_campaign(file)
    return campaign if code is None else campaign.for_code(code)


def name_in_queue(word: str, settings: Settings) -> str:
    """Return how the queue calls what a user names: a campaign by its file, a folder below that of the runs.

    What is neither is returned as it is.

    Raises
    ------
    CampaignError
        If the campaign file has a mistake.
    """
    path = Path(word)
    if word.endswith((".yaml", ".yml")) and path.is_file():
        from heterodft.workflows.campaign_file import load_campaign

        return load_campaign(path).name
    runs, place = settings.runs.absolute(), Path(os.path.normpath(path.absolute()))
    return place.relative_to(runs).as_posix() if runs in place.parents and place.exists() else word


def settings_for(campaign: Campaign) -> Settings:
    """Return the settings of this machine, with what the campaign says of running."""
    from heterodft.workflows.settings_file import load_settings

    return load_settings(command=campaign.run.command)


def build_all(campaign: Campaign, notes: list[str]) -> list[BuiltStructure]:
    """Build the structures of a campaign, showing progress; what the user should hear of is added to the notes."""
    from heterodft.workflows.built_structures import build_structures

    with working("building") as step:
        return build_structures(campaign, notes=notes, on_each=step)


def request_chains(campaign: Campaign, settings: Settings, *, notes: list[str] | None = None) -> list[list[Request]]:
    """Return the requests of a campaign, a list for each configuration; what the user should hear of is told."""
    from heterodft.workflows.chains import campaign_chains

    notes = [] if notes is None else notes
    structures = build_all(campaign, notes)
    with working("planning") as step:
        chains = campaign_chains(
            campaign, structures=structures, pseudo_dir=settings.pseudo_dir, notes=notes, on_each=step
        )
    tell(notes)
    return chains


def tell(notes: Iterable[str]) -> None:
    """Print notes beside the result; one that holds for several structures once, with the first and their number."""
    found: dict[str, list[str]] = {}
    for note in dict.fromkeys(notes):
        name, colon, text = note.partition(": ")
        of_one = bool(colon) and " " not in name  # the name of a structure, not words
        found.setdefault(text if of_one else note, []).append(name if of_one else "")
    for text, names in found.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        click.echo(f"note: {names[0]}{more}: {text}" if names[0] else f"note: {text}", err=True)
