"""``heterodft pseudos``: pseudopotential families."""

from __future__ import annotations

from pathlib import Path

import click

from heterodft.cli.common import print_table

__all__ = ["command"]


@click.group("pseudos")
def command() -> None:
    """Show and install pseudopotential families."""


@command.command("list")
def list_families() -> None:
    """List the families this version knows and whether they are installed.

    Example: heterodft pseudos list
    """
    from heterodft.templates.pseudopotentials import known_families

    print_table(
        "",
        ["family", "functional", ">elements", "installed in"],
        [[f.name, f.xc, len(f.files), f.folder if f.folder.is_dir() else "–"] for f in known_families().values()],
    )


@command.command("install")
@click.argument("name", required=False)
@click.option("--from", "archive", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
              help="The archive, fetched elsewhere, on a machine without network.")  # fmt: skip
def install(name: str | None, archive: Path | None) -> None:
    """Install the family NAME (by default that of PBE), checked against its recorded checksums.

    Example: heterodft pseudos install
    """
    from heterodft.errors import PseudopotentialError, did_you_mean
    from heterodft.templates.pseudopotentials import family_for, install_family, known_families

    families = known_families()
    if name is not None and name not in families:
        raise PseudopotentialError(f"unknown family '{name}'{did_you_mean(name, families)}")
    family = families[name] if name else family_for("PBE")
    written = install_family(family, archive=archive)
    if written:
        click.echo(f"{family.name}: {len(written)} pseudopotentials in {family.folder}")
        click.echo(family.notice)
    else:
        click.echo(f"{family.name}: all {len(family.files)} pseudopotentials are in {family.folder}, unaltered")
