"""What must stand beside the numbers of a configuration wherever these are shown, in a word or two each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heterodft.analysis.state_marks import OTHER

if TYPE_CHECKING:
    from heterodft.analysis.report.collect import ConfigurationReport

__all__ = ["NOT_CONVERGED", "PENDING", "marks_of"]

NOT_CONVERGED = "not converged"
PENDING = ("not run", "running")
"""States of a step that may still become one with a result, or with a failure."""


def marks_of(report: ConfigurationReport) -> tuple[str, ...]:
    """Return ``not converged``, ``flipped``, ``dos failed`` …; without an energy ``failed``, ``running`` …

    That an energy is not compared is told in place of the energy.
    """
    failed = [step.step for step in report.steps if step.state not in ("done", *PENDING)]
    if report.static is None:
        runs = any(step.state == "running" for step in report.steps)
        return ("failed" if failed else "running" if runs else "not run",)
    found = [NOT_CONVERGED] if report.static.converged is False else []
    found += [report.state] if report.state in OTHER else []
    return (*found, *(f"{step} failed" for step in failed))
