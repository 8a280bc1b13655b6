"""``heterodft inputs``: every input file, as it would be run."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from heterodft.cli.common import (
    campaign_file,
    code_option,
    echo_json,
    json_option,
    print_table,
    read_campaign,
    request_chains,
    settings_for,
    tell,
)

if TYPE_CHECKING:
    from heterodft.templates.setup import Deck
    from heterodft.workflows.calculation import Request

__all__ = ["command"]


@click.command("inputs")
@campaign_file
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("inputs"), show_default=True)
@code_option
@click.option("--pw-version", metavar="X.Y", help="Write for this version of pw.x instead of the installed one.")
@click.option("--vasp-version", metavar="X.Y", help="Write for this version of VASP.")
@click.option("--only", metavar="PATTERN", help="Only calculations like this: '*/FM/*/static'.")
@click.option("--explain", is_flag=True, help="Show where each value comes from, and write nothing.")
@json_option
def command(  # noqa: PLR0917, click calls it by name
    file: Path,
    output: Path,
    code: str | None,
    pw_version: str | None,
    vasp_version: str | None,
    only: str | None,
    explain: bool,
    as_json: bool,
) -> None:
    """Write every input file of the campaign FILE, as it would be run.

    A step after a relaxation is written with the ideal structure; when it runs it takes the relaxed one.

    Example: heterodft inputs campaign.yaml -o inputs
    """
    from heterodft.workflows.inputs import prepare_inputs

    versions = {"espresso": _version(pw_version, "--pw-version"), "vasp": _version(vasp_version, "--vasp-version")}
    campaign = read_campaign(file, code=code)
    settings = settings_for(campaign)
    requests = [request for chain in request_chains(campaign, settings) for request in chain]
    chosen = [r for r in requests if only is None or fnmatch(r.path.partition("/")[2], only)]
    if not chosen:
        raise click.BadParameter(f"no calculation is like '{only}'; see heterodft plan", param_hint="--only")
    # All texts before the first file, so that a mistake in the last leaves nothing half-written.
    decks = [prepare_inputs(request, settings, version=versions[request.code]) for request in chosen]
    tell(_notes(chosen, decks))
    if as_json:
        echo_json(
            {"campaign": campaign.name, "calculations": [_data(r, d) for r, d in zip(chosen, decks, strict=True)]}
        )
    if explain:
        if not as_json:
            _explain(chosen, decks)
        return
    _write(chosen, decks, output)
    if not as_json:
        number = sum(len(deck.files) for deck in decks)
        click.echo(f"{number} input files of {len(chosen)} calculations in {output / campaign.name}")


def _write(requests: list[Request], decks: list[Deck], output: Path) -> None:
    from heterodft.files import make_folder, write_text
    from heterodft.workflows.calculation import write_request

    for request, deck in zip(requests, decks, strict=True):
        folder = make_folder(output / request.path)
        write_request(request, folder)
        for name, text in deck.files.items():
            write_text(folder / name, text)


def _notes(requests: list[Request], decks: list[Deck]) -> list[str]:
    """Return each note once, with the first calculation it holds for and how many more."""
    found: dict[str, list[str]] = {}
    for request, deck in zip(requests, decks, strict=True):
        for note in deck.notes:
            found.setdefault(note, []).append(request.path)
    more = {note: f" and {len(paths) - 1} more" if len(paths) > 1 else "" for note, paths in found.items()}
    return [f"{note} ({paths[0]}{more[note]})" for note, paths in found.items()]


def _data(request: Request, deck: Deck) -> dict[str, Any]:
    settings = [vars(entry) for entry in deck.entries]
    taken = request.about.get("taken_over")
    return {
        "id": request.id,
        "path": request.path,
        "files": list(deck.files),
        "taken_over": taken,
        "settings": settings,
    }


def _explain(requests: list[Request], decks: list[Deck]) -> None:
    """Print a table a step; a value that not all of its calculations share says how many do."""
    for step in dict.fromkeys(request.step for request in requests):
        group = [(r, d) for r, d in zip(requests, decks, strict=True) if r.step == step]
        counted: dict[tuple[str, str, str, str, str], int] = {}
        for _, deck in group:
            for e in deck.entries:
                row = (e.file, e.section, e.key, _shown(e.value), e.origin)
                counted[row] = counted.get(row, 0) + 1
        everywhere = len(group)
        rows = [
            (*row, "" if number == everywhere else f"{number} of {everywhere}") for row, number in counted.items()
        ]
        taken = group[0][0].about.get("taken_over")
        start = f"; from {taken['from']}: {taken['what']}" if taken else ""
        why = f" ({taken['why_not_all']})" if taken and taken["why_not_all"] else ""
        title = f"{step}: {everywhere} calculation{'s' * (everywhere > 1)}{start}{why}"
        print_table(title, ["file", "namelist", "setting", "value", "comes from", "in"], rows)


def _shown(value: Any) -> str:
    return f".{str(value).lower()}." if isinstance(value, bool) else str(value)


def _version(text: str | None, option: str) -> tuple[int, int] | None:
    if text is None:
        return None
    major, _, minor = text.partition(".")
    if not (major.isdigit() and minor.isdigit()):
        raise click.BadParameter(f"'{text}' is no version; write it as 6.7", param_hint=option)
    return int(major), int(minor)
