"""``heterodft pseudos``: pseudopotential families."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from heterodft.cli import candidates
from heterodft.cli.common import echo_json, json_option, print_table

if TYPE_CHECKING:
    from heterodft.templates.pseudopotentials import Family

__all__ = ["command"]


@click.group("pseudos")
def command() -> None:
    """Show and install pseudopotential families.

    Example: heterodft pseudos install
    """


@command.command("list", short_help="List the families this version knows.")
@json_option
def list_families(as_json: bool) -> None:
    """List the families this version knows and whether they are installed.

    Without atomic wavefunctions an element has neither Hubbard U nor projections.

    Example: heterodft pseudos list
    """
    from heterodft.templates.pseudopotentials import known_families

    rows = [_family_row(family) for family in known_families().values()]
    if as_json:
        echo_json(rows)
        return
    print_table(
        "",
        ["family", "functional", "relativistic", ">elements", "without wavefunctions", "installed"],
        [
            [r["name"], r["functional"], r["relativistic"], len(r["elements"]),
             " ".join(r["without_wavefunctions"]) or "none", "yes" if r["installed"] else "–"]
            for r in rows
        ],
    )  # fmt: skip


def _family_row(family: Family) -> dict[str, Any]:
    return {
        "name": family.name,
        "functional": family.xc,
        "relativistic": family.relativistic,
        "elements": list(family.files),
        "without_wavefunctions": [e for e, entry in family.files.items() if not entry["wavefunctions"]],
        "folder": str(family.folder),
        "installed": family.folder.is_dir(),
    }


@command.command("show", short_help="Show the pseudopotentials of a family.")
@click.argument("words", nargs=-1, metavar="[NAME] [ELEMENT]...", shell_complete=candidates.families)
@json_option
def show(words: tuple[str, ...], as_json: bool) -> None:
    """Show the pseudopotentials of the family NAME (by default that of PBE), all or those of each ELEMENT.

    Example: heterodft pseudos show Sr Ti O
    """
    from heterodft.templates.pseudopotentials import family_for, known_families

    families = known_families()
    is_name = bool(words) and (words[0] in families or len(words[0]) > len("Og"))
    family = _family(words[0], families) if is_name else family_for("PBE")
    rows = _element_rows(family, words[is_name:])
    if as_json:
        echo_json({"family": family.name, "pseudopotentials": rows})
        return
    print_table(
        f"{family.name}: {family.xc}, relativistic: {family.relativistic}, in {family.folder}",
        ["element", "file", ">valence", "wavefunctions", ">suggested cutoff (Ry)", "installed"],
        [
            [r["element"], r["file"], f"{r['valence']:g}", r["wavefunctions"] or "— (no U, no projections)",
             "–" if r["cutoff_Ry"] is None else f"{r['cutoff_Ry']:g}", r["installed"]]
            for r in rows
        ],
    )  # fmt: skip


def _element_rows(family: Family, elements: tuple[str, ...]) -> list[dict[str, Any]]:
    from heterodft.errors import PseudopotentialError, did_you_mean

    for element in elements:
        if element not in family.files:
            raise PseudopotentialError(
                f"the family {family.name} has no pseudopotential for '{element}'"
                f"{did_you_mean(element, family.files)}; give a folder that has one with ESPRESSO_PSEUDO"
            )
    return [
        {
            "element": element,
            "file": entry["file"],
            "valence": entry["valence"],
            "wavefunctions": entry["wavefunctions"],
            "cutoff_Ry": entry.get("cutoff"),
            "installed": family.state(element),
        }
        for element, entry in family.files.items()
        if not elements or element in elements
    ]


def _family(name: str, families: dict[str, Family]) -> Family:
    from heterodft.errors import PseudopotentialError, did_you_mean

    if name not in families:
        raise PseudopotentialError(f"unknown family '{name}'{did_you_mean(name, families)}")
    return families[name]


@command.command("install", short_help="Install families, that of PBE by default.")
@click.argument("names", nargs=-1, metavar="[NAME…]", shell_complete=candidates.families)
@click.option("--from", "archive", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
              help="The archive, fetched elsewhere, on a machine without network.")  # fmt: skip
def install(names: tuple[str, ...], archive: Path | None) -> None:
    """Install the families NAME… (by default that of PBE), checked against their recorded checksums.

    Example: heterodft pseudos install
    """
    from heterodft.templates.families import install_families
    from heterodft.templates.pseudopotentials import family_for, known_families

    families = [_family(name, known_families()) for name in names] or [family_for("PBE")]
    written = install_families(families, archive=archive)
    for family in families:
        if written[family.name]:
            click.echo(f"{family.name}: {len(written[family.name])} pseudopotentials in {family.folder}")
            click.echo(family.notice)
        else:
            click.echo(f"{family.name}: all {len(family.files)} pseudopotentials are in {family.folder}, unaltered")
