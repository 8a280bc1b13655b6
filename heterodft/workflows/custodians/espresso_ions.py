"""Handlers of relaxations with pw.x: BFGS, steps, interruptions, the final cycle, cells that shrink."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heterodft.templates.espresso_edit import read_value
from heterodft.workflows.custodians.espresso_base import EspressoHandler, number

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.workflows.custodians.espresso_base import Action
    from heterodft.workflows.custodians.symptoms import Ending

__all__ = [
    "BfgsHandler",
    "CellFactorHandler",
    "FinalScfHandler",
    "InterruptedHandler",
    "IonStepsHandler",
    "SymmetryHandler",
]

_RADIUS, _LEAST_RADIUS = "ions->trust_radius_ini", "ions->trust_radius_min"
_DYNAMICS, _CELL_DYNAMICS = "ions->ion_dynamics", "cell->cell_dynamics"


class BfgsHandler(EspressoHandler):
    """BFGS gave up: a smaller trust radius, then damped dynamics; forces made less noisy by a tighter cycle."""

    symptoms = ("bfgs",)

    def rung(self, ending: Ending, folder: Path) -> Action | None:
        """Return the next rung."""
        if read_value(ending.asked, _DYNAMICS) == "damp":
            return None
        tighter = {"electrons->conv_thr": float(f"{number(ending, 'electrons->conv_thr', 1e-6) * 0.1:.3g}")}
        if number(ending, _LEAST_RADIUS, 1e-3) > 1e-4:
            return {"_set": {_RADIUS: 0.1, _LEAST_RADIUS: 1e-4, **tighter}, "_continue": "positions"}
        damped = {_DYNAMICS: "damp", "control->nstep": 3 * int(number(ending, "control->nstep", 50))}
        if ending.calculation == "vc-relax":
            damped[_CELL_DYNAMICS] = "damp-w"
        return {"_set": damped, "_continue": "positions"}


class IonStepsHandler(EspressoHandler):
    """Not relaxed within the ionic steps: twice as many again, from where BFGS is."""

    symptoms = ("ion-steps",)
    max_num_corrections = 2

    def rung(self, ending: Ending, folder: Path) -> Action | None:
        """Return a restart with the history of BFGS, twice."""
        return {"_continue": "checkpoint"} if len(self.tried(folder)) < self.max_num_corrections else None


class InterruptedHandler(EspressoHandler):
    """A relaxation died between its steps: a new one from the last structure."""

    symptoms = ("interrupted",)
    max_num_corrections = 2

    def rung(self, ending: Ending, folder: Path) -> Action | None:
        """Return a start from the last structure printed."""
        return {"_continue": "positions"}


class FinalScfHandler(EspressoHandler):
    """The cell relaxed, but the cycle on its final grid did not converge: that cycle alone, mixed with more care.

    The relaxation is accepted; the energy is that of a static run of the relaxed cell, as pw.x would have printed.
    """

    symptoms = ("final-scf",)
    max_num_corrections = 1

    def words(self, ending: Ending) -> str:
        """Return what was wrong and what is accepted."""
        return "relaxed, but the final SCF did not converge; the structure is accepted and that SCF done again"

    def rung(self, ending: Ending, folder: Path) -> Action | None:
        """Return a static run of the relaxed structure."""
        beta = round(number(ending, "electrons->mixing_beta", 0.7) * 0.8, 4)
        steps = max(100, int(number(ending, "electrons->electron_maxstep", 100)))
        changes = {
            "control->calculation": "scf",
            "electrons->mixing_beta": beta,
            "electrons->electron_maxstep": steps,
        }
        return {"_set": changes, "_continue": "positions"}


class CellFactorHandler(EspressoHandler):
    """The cell shrank beyond the table of the radial functions: a larger one, from the last structure."""

    symptoms = ("radial-fft",)

    def rung(self, ending: Ending, folder: Path) -> Action | None:
        """Return a larger cell_factor."""
        factor = number(ending, "cell->cell_factor", 2.0)
        if factor >= 10:
            return None
        return {"_set": {"cell->cell_factor": round(factor * 1.5, 3)}, "_continue": "positions"}


class SymmetryHandler(EspressoHandler):
    """The cell lost its symmetry on the way: found anew at the last structure; with `physics`, none at all.

    Parameters
    ----------
    file
        Input of pw.x.
    physics
        Whether the last rung may switch symmetry off, which marks the result.
    """

    symptoms = ("symmetry",)
    max_num_corrections = 3

    def __init__(self, file: str = "pw.in", physics: bool = False):
        super().__init__(file)
        self.physics = physics

    def rung(self, ending: Ending, folder: Path) -> Action | None:
        """Return the next rung."""
        if ending.moved and not self.tried(folder):
            return {"_continue": "positions"}
        if self.physics and read_value(ending.asked, "system->nosym") is None:
            return {"_set": {"system->nosym": True}, "_continue": "positions"}
        return None
