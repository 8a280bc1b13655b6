"""The handler of hp.x: a response that did not converge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heterodft.templates.hp import MOST_ITERATIONS
from heterodft.workflows.custodians.espresso_base import EspressoHandler, number

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.workflows.custodians.espresso_base import Action
    from heterodft.workflows.custodians.symptoms import Ending

__all__ = ["ResponseHandler"]

_BETA, _STEPS = "inputhp->alpha_mix(1)", "inputhp->niter_max"
_LEAST_BETA = 0.05


class ResponseHandler(EspressoHandler):
    """The response of the density to a shift of the potential did not converge within its iterations.

    Rungs: all the iterations that hp.x allows; half of the new response in the mixing, until 0.05. hp.x has no
    checkpoint, each starts from the first perturbation.
    """

    symptoms = ("response",)

    def rung(self, ending: Ending, folder: Path) -> Action | None:
        """Return more iterations, then less mixing."""
        if number(ending, _STEPS, MOST_ITERATIONS) < MOST_ITERATIONS:
            return {"_set": {_STEPS: MOST_ITERATIONS}}
        less = round(0.5 * number(ending, _BETA, 0.3), 4)
        return None if less < _LEAST_BETA else {"_set": {_BETA: less}}
