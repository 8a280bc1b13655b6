"""What must stand beside the numbers of a configuration wherever these are shown, in a word or two each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heterodft.analysis.state_marks import OTHER

if TYPE_CHECKING:
    from heterodft.analysis.report.collect import ConfigurationReport

__all__ = ["NOT_CONVERGED", "marks_of"]

NOT_CONVERGED = "not converged"


def marks_of(report: ConfigurationReport) -> tuple[str, ...]:
    """Return ``not converged``, ``flipped``, ``dos failed`` …; of what has no energy ``failed`` or ``not run``.

    That an energy is not compared is told in place of the energy.
    """
    failed = [step.step for step in report.steps if step.state not in ("done", "not run")]
    if report.static is None:
        return ("failed",) if failed else ("not run",)
    found = [NOT_CONVERGED] if report.static.converged is False else []
    found += [report.state] if report.state in OTHER else []
    return (*found, *(f"{step} failed" for step in failed))
