"""What the drivers of a campaign found, read from their folders for ``heterodft report``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.analysis.report import DriverFindings

__all__ = ["driver_findings", "pseudopotential_families"]


def driver_findings(root: Path) -> list[DriverFindings]:
    """Return what each driver of a campaign found so far; one that cannot be read is told and left out.

    Parameters
    ----------
    root
        Folder of the campaign; those of its drivers are beside it, ``crn.cutoff`` beside ``crn``.
    """
    from heterodft.errors import HeterodftError
    from heterodft.workflows.drivers.decisions import DRIVER_FILE

    found = []
    for path in sorted(root.parent.glob(f"{_literal(root.name)}.*/{DRIVER_FILE}")):
        try:
            found.append(_findings(path.parent))
        except HeterodftError as error:
            click.echo(f"note: left out of the report: {error}", err=True)
    return found


def _literal(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _findings(folder: Path) -> DriverFindings:
    from heterodft.analysis.report import DriverFindings
    from heterodft.analysis.report.drivers import UNSURE
    from heterodft.workflows.drivers import strategy_of
    from heterodft.workflows.drivers.driver import Finished, read_driver

    driver = read_driver(folder)
    finished = Finished(folder.parent)
    summary = strategy_of(driver).summarize(driver, finished, figures=True)
    state = "finished"
    if not summary.data.get("ended"):
        state = "not finished yet"
    elif summary.data.get("converged") is False:
        state = UNSURE
    return DriverFindings(
        driver.name,
        driver.kind,
        summary.title,
        state,
        summary.words,
        summary.tables,
        summary.figures,
        summary.shown,
        dict(finished.failures),
        [path.parent for path in sorted(folder.glob("*/*/*/*/request.json")) if "." not in path.parent.name],
        any(str(start.get("name", "")).startswith("bonds ") for start in driver.rule.get("starts", ())),
    )


def pseudopotential_families() -> dict[str, str]:
    """Return the name of the published set that each pseudopotential known here belongs to, by its checksum."""
    from heterodft.templates.families import known_families

    return {file["sha256"]: family.name for family in known_families().values() for file in family.files.values()}
