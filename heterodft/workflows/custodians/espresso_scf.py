"""Handlers of the self-consistent cycle of pw.x: bands, diagonalization, mixing, sloshing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heterodft.analysis.readers.espresso.xml import read_pw_xml
from heterodft.errors import ReaderError
from heterodft.templates.espresso import PREFIX
from heterodft.templates.espresso_edit import read_value
from heterodft.workflows.custodians.espresso_base import EspressoHandler, number
from heterodft.workflows.custodians.oscillation import oscillates, still_falls

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from heterodft.workflows.custodians.espresso_base import Action
    from heterodft.workflows.custodians.symptoms import Ending

__all__ = ["BandsHandler", "DiagonalizationHandler", "ScfHandler", "SloshingMonitor"]

_BETA, _NDIM, _MODE = "electrons->mixing_beta", "electrons->mixing_ndim", "electrons->mixing_mode"
_STEPS = "electrons->electron_maxstep"
_DIAGONALIZATION, _BANDS = "electrons->diagonalization", "system->nbnd"
_FILLED = 0.005
"""Occupation of the highest band above which electrons are missing a place; AiiDA's."""
_LEAST_BETA, _MOST_NDIM = 0.05, 16
_PLAIN_BETA = 0.3
"""With it, and plain mixing, pw.x 6.7 converged (KTaO3)4/(CaZrO3)1 in 22 iterations, and with a vacancy in 21 and 32;
with local-TF in 45, 33 and never. Less is slower. See docs/decisions/0019-mixing-of-superlattices.md.
"""


def _go_on(ending: Ending) -> Action:
    """Return how a run whose cycle broke down starts again: a relaxation where it was, others from their start."""
    return {"_continue": "positions"} if ending.moved else {"_unset": ["control->restart_mode"]}


class BandsHandler(EspressoHandler):
    """Too few bands for the electrons: 5 % more, at least 4."""

    symptoms = ("bands", "charge")

    def concerns(self, ending: Ending, folder: Path) -> bool:
        """Return also True for a run that ended well with a filled highest band, while there are rungs left."""
        if ending.symptom in self.symptoms:
            return True
        last = self.max_num_corrections - 1
        return not ending.symptom and _highest_is_filled(ending, folder) and len(self.tried(folder)) < last

    def words(self, ending: Ending) -> str:
        """Return what was wrong."""
        return ending.words or "the highest band is filled"

    def rung(self, ending: Ending, folder: Path) -> Action | None:
        """Return more bands."""
        if len(self.tried(folder)) >= self.max_num_corrections:
            return None
        bands = int(number(ending, _BANDS, 0))
        if not bands:
            return None
        more = {_BANDS: max(round(bands * 1.05), bands + 4)}
        if ending.symptom:
            return {"_set": more, **_go_on(ending)}
        return {"_set": more, "_continue": "positions" if ending.moved else "density"}


def _highest_is_filled(ending: Ending, folder: Path) -> bool:
    """Tell whether the highest band of a finished run holds electrons; bands of a path have no filling."""
    if not ending.printed.finished or ending.calculation == "bands" or not _ended_well(ending):
        return False
    try:
        found = read_pw_xml(folder / f"{PREFIX}.save" / "data-file-schema.xml").bands
    except (ReaderError, OSError):
        return False
    smeared = read_value(ending.asked, "system->occupations") != "fixed"
    return smeared and float(found.occupations[:, :, -1].max()) > _FILLED


def _ended_well(ending: Ending) -> bool:
    if ending.calculation == "nscf":
        return True
    return bool(ending.printed.converged) and (ending.calculation == "scf" or bool(ending.printed.relaxed))


class DiagonalizationHandler(EspressoHandler):
    """The iterative diagonalization failed: the next of david, paro, cg.

    Not ppcg: where david failed for (CaRuO3)1/(LaNiO3)1, pw.x 6.7 gave the highest of its 69 bands up to 0.9 eV too
    high and called them converged; paro and cg agree to the last digit, paro in a fifth of the time.
    """

    symptoms = ("diagonalization",)
    order = ("david", "paro", "cg")

    def concerns(self, ending: Ending, folder: Path) -> bool:
        """Return also True for bands on a fixed density of which some did not converge, while others may do it."""
        loose = ending.symptom == "loose-bands" and self._next(ending, folder) is not None
        return loose or ending.symptom in self.symptoms

    def rung(self, ending: Ending, folder: Path) -> Action | None:
        """Return the next diagonalization that was not tried here."""
        name = self._next(ending, folder)
        return None if name is None else {"_set": {_DIAGONALIZATION: name}, **_go_on(ending)}

    def _next(self, ending: Ending, folder: Path) -> str | None:
        now = read_value(ending.asked, _DIAGONALIZATION) or self.order[0]
        later = self.order[self.order.index(now) + 1 :] if now in self.order else self.order
        if later:
            return later[0]
        return None if self.tried(folder) else self.order[0]


class ScfHandler(EspressoHandler):
    """The cycle did not converge within its steps.

    Rungs: more steps where it still converges; local-TF mixing where the cell has vacuum; plain mixing where another
    oscillates; a longer history of the mixing where it oscillates; less of the new density, 0.8 each time; with
    `physics`, twice the smearing, once.

    Parameters
    ----------
    file
        Input of pw.x.
    vacuum
        Whether the cell has vacuum.
    physics
        Whether the last rung may change the smearing, which marks the result.
    """

    symptoms = ("scf",)
    max_num_corrections = 8

    def __init__(self, file: str = "pw.in", vacuum: bool = False, physics: bool = False):
        super().__init__(file)
        self.vacuum = vacuum
        self.physics = physics

    def rung(self, ending: Ending, folder: Path) -> Action | None:
        """Return the next rung."""
        done = self.tried(folder)
        if still_falls(ending.text) and sum(_STEPS in action.get("_set", {}) for action in done) < 2:
            return {"_set": {_STEPS: 2 * int(number(ending, _STEPS, 100))}, "_continue": "checkpoint"}
        changes = self._mixing(ending) or self._smearing(ending, done)
        if changes is None or len(done) >= self.max_num_corrections:
            return None
        return {"_set": changes, "_continue": _start_after(ending)}

    def _mixing(self, ending: Ending, part: float = 0.8) -> dict[str, Any] | None:
        mode, swings = read_value(ending.asked, _MODE), oscillates(ending.text)
        if self.vacuum and mode is None:
            return {_MODE: "local-TF"}
        ndim, beta = int(number(ending, _NDIM, 8)), number(ending, _BETA, 0.7)
        if swings and mode not in (None, "plain"):
            return {_MODE: "plain"} | ({_BETA: _PLAIN_BETA} if beta < _PLAIN_BETA else {})
        changes: dict[str, Any] = {}
        if beta > _LEAST_BETA:
            changes[_BETA] = round(max(_LEAST_BETA, beta * part), 4)
        if ndim < _MOST_NDIM and swings:
            changes[_NDIM] = min(_MOST_NDIM, ndim + 4)
        return changes or None

    def _smearing(self, ending: Ending, done: Sequence[Any]) -> dict[str, Any] | None:
        width = number(ending, "system->degauss", 0.0)
        widened = any("system->degauss" in action.get("_set", {}) for action in done)
        return {"system->degauss": round(2 * width, 8)} if self.physics and width and not widened else None


def _start_after(ending: Ending) -> str:
    """Return where a cycle starts again: from its density, unless that is worth nothing."""
    diverged = ending.printed.accuracy is None or ending.printed.accuracy > 1.0
    if ending.moved:
        return "checkpoint"
    return "scratch" if diverged else "checkpoint"


class SloshingMonitor(ScfHandler):
    """Watches a running cycle: one that oscillates instead of converging is stopped and mixed with more care."""

    is_monitor = True
    max_num_corrections = 3
    least_iterations = 30

    def concerns(self, ending: Ending, folder: Path) -> bool:
        """Return whether the running, or the last, cycle oscillates without progress, and a rung is left."""
        ours = not ending.printed.finished or ending.symptom == "scf"
        return (
            ours
            and not ending.printed.error
            and oscillates(ending.text, least=self.least_iterations)
            and len(self.tried(folder)) < self.max_num_corrections
            and self._mixing(ending) is not None
        )

    def words(self, ending: Ending) -> str:
        """Return what was seen."""
        return "the SCF cycle oscillates"

    def rung(self, ending: Ending, folder: Path) -> Action | None:
        """Return half the mixing and a longer history, from the last atoms or from scratch: nothing was saved."""
        changes = self._mixing(ending, part=0.5)
        if changes is None:
            return None
        return {"_set": changes, "_continue": "positions" if ending.moved else "scratch"}
