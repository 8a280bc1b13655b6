"""``heterodft inputs``: every input file, as it would be run."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from heterodft.cli.common import (
    campaign_file,
    code_option,
    deck_notes,
    echo_json,
    json_option,
    print_table,
    read_campaign,
    request_chains,
    settings_for,
    tell,
    version_for,
    version_options,
)
from heterodft.cli.progress import quiet_option, working
from heterodft.words import number_of

if TYPE_CHECKING:
    from heterodft.templates.setup import Deck
    from heterodft.workflows.calculation import Request

__all__ = ["command"]


@click.command("inputs")
@campaign_file
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder for the input files, by default inputs.",
)
@code_option
@version_options
@click.option("--only", metavar="PATTERN", help="Only calculations like this: '*/FM/*/static'.")
@click.option("--explain", is_flag=True, help="Show where each value comes from, and write nothing.")
@quiet_option
@json_option
def command(  # noqa: PLR0917, click calls it by name
    file: Path,
    output: Path | None,
    code: str | None,
    pw_version: tuple[int, int] | None,
    vasp_version: tuple[int, int] | None,
    only: str | None,
    explain: bool,
    as_json: bool,
) -> None:
    """Write every input file of the campaign FILE, as it would be run.

    A step after a relaxation is written with the ideal structure; when it runs it takes the relaxed one.

    Example: heterodft inputs campaign.yaml -o inputs
    """
    from heterodft.workflows.inputs import prepare_all

    if explain and output is not None:
        raise click.UsageError("--explain writes nothing; leave out --output")
    campaign = read_campaign(file, code=code)
    version = version_for(campaign, pw_version, vasp_version)
    settings = settings_for(campaign)
    requests = [request for chain in request_chains(campaign, settings) for request in chain]
    chosen = [r for r in requests if only is None or fnmatch(r.path.partition("/")[2], only)]
    if not chosen:
        raise click.BadParameter(f"no calculation is like '{only}'; see heterodft plan", param_hint="--only")
    # All texts before the first file, so that a mistake in the last leaves nothing half-written.
    with working("preparing input", len(chosen)) as step:
        decks = prepare_all(campaign, chosen, settings, version=version, on_each=step)
    tell(deck_notes(chosen, decks))
    if as_json:
        echo_json(
            {"campaign": campaign.name, "calculations": [_data(r, d) for r, d in zip(chosen, decks, strict=True)]}
        )
    if explain:
        if not as_json:
            _explain(chosen, decks)
        return
    folder = output or Path("inputs")
    _write(chosen, decks, folder)
    if not as_json:
        number = sum(len(deck.files) for deck in decks)
        of = f"{number_of(number, 'input file')} of {number_of(len(chosen), 'calculation')}"
        click.echo(f"{of} in {folder / campaign.name}")


# Not POTCAR, which may be the user's own.
_INPUTS = {"INCAR", "KPOINTS", "POSCAR", "POTCAR.spec", "site_order.json", "pw.in", "projwfc.in", "hp.in",
           "potential.in", "charge.in", "spin.in", "spin_x.in", "spin_y.in", "spin_z.in"}  # fmt: skip


def _write(requests: list[Request], decks: list[Deck], output: Path) -> None:
    from heterodft.files import make_folder, write_text
    from heterodft.workflows.calculation import write_request

    for request, deck in zip(requests, decks, strict=True):
        folder = make_folder(output / request.path)
        for name in _INPUTS - deck.files.keys():  # of the other code, or of an earlier writing
            (folder / name).unlink(missing_ok=True)
        write_request(request, folder)
        for name, text in deck.files.items():
            write_text(folder / name, text)


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
                row = (e.file, e.section, e.key, _shown(e.value) + f" ({e.species})" * bool(e.species), e.origin)
                counted[row] = counted.get(row, 0) + 1
        everywhere = len(group)
        rows = [
            (*row, "" if number == everywhere else f"{number} of {everywhere}") for row, number in counted.items()
        ]
        taken = group[0][0].about.get("taken_over")
        start = f"; from {taken['from']}: {taken['what']}" if taken else ""
        why = f" ({taken['why_not_all']})" if taken and taken["why_not_all"] else ""
        title = f"{step}: {everywhere} calculation{'s' * (everywhere > 1)}{start}{why}"
        names = ["file", "namelist", "setting", "value", "comes from", "in"]
        shown = len(names) if any(row[-1] for row in rows) else len(names) - 1
        print_table(title, names[:shown], [row[:shown] for row in rows])


def _shown(value: Any) -> str:
    return f".{str(value).lower()}." if isinstance(value, bool) else str(value)
