"""``heterodft doctor``: what is installed, what is missing, and how to get it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from heterodft.cli.common import console, echo_json, json_option

if TYPE_CHECKING:
    from heterodft.workflows.doctor import Finding

__all__ = ["command"]

_SIGNS = {"ok": ("✓", "green"), "note": ("·", "yellow"), "problem": ("✗", "red")}


@click.command("doctor")
@click.option("--test", "trial", is_flag=True, help="Run SrTiO3 with pw.x for two seconds, as real runs are run.")
@json_option
def command(trial: bool, as_json: bool) -> None:
    """Check this machine: programs, pseudopotentials, queue, batch system, disk; each problem with its remedy.

    ✓ is well, · is worth knowing, ✗ is missing for what the settings say. Exit code 1 where there is a ✗.

    Example: heterodft doctor --test
    """
    from heterodft.workflows.doctor import examine
    from heterodft.workflows.settings_file import load_settings

    found, part = [], ""
    for finding in examine(load_settings(), trial=trial):
        found.append(finding)
        if not as_json:
            _print(finding, heading=finding.part != part)
        part = finding.part
    problems = sum(finding.state == "problem" for finding in found)
    if as_json:
        echo_json({"can_run": not problems, "findings": [vars(finding) for finding in found]})
    else:
        words = f"{problems} problem{'s' * (problems > 1)}, see ✗ above" if problems else "Ready to run."
        click.echo(f"\n{words}")
    if problems:
        sys.exit(1)


def _print(finding: Finding, *, heading: bool) -> None:
    from rich.padding import Padding
    from rich.text import Text

    screen = console()
    if heading:
        screen.print(Text(finding.part, style="bold"))
    sign, colour = _SIGNS[finding.state]
    line = Text.assemble((sign, colour), f" {finding.name}: {finding.told}")
    screen.print(Padding(line, (0, 0, 0, 2), expand=False))
    if finding.remedy:
        screen.print(Padding(Text(f"→ {finding.remedy}"), (0, 0, 0, 4), expand=False))
