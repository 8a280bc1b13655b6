"""The handlers of a calculation with pw.x and hp.x, in the order they are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heterodft.structures.vacuum import has_vacuum
from heterodft.templates.espresso import program_of
from heterodft.templates.shifts import SHIFT_STEPS
from heterodft.workflows.custodians.espresso_base import EspressoHandler
from heterodft.workflows.custodians.espresso_ions import (
    BfgsHandler,
    CellFactorHandler,
    FinalScfHandler,
    InterruptedHandler,
    IonStepsHandler,
    SymmetryHandler,
)
from heterodft.workflows.custodians.espresso_occupations import FillingHandler, TetrahedraHandler
from heterodft.workflows.custodians.espresso_response import ResponseHandler
from heterodft.workflows.custodians.espresso_scf import (
    BandsHandler,
    DiagonalizationHandler,
    ScfHandler,
    SloshingMonitor,
)
from heterodft.workflows.custodians.espresso_state import state_handler

if TYPE_CHECKING:
    from pathlib import Path

    from custodian.custodian import ErrorHandler

    from heterodft.workflows.calculation import Request
    from heterodft.workflows.custodians.espresso_base import Action
    from heterodft.workflows.custodians.symptoms import Ending

__all__ = ["MAX_ERRORS", "UnrecoverableHandler", "espresso_handlers"]

MAX_ERRORS = 10
"""Corrections of one calculation in all."""


class UnrecoverableHandler(EspressoHandler):
    """Known to be without a cure: stop at once; `diagnose` says what to do."""

    symptoms = ("unrecoverable", "unknown")

    def rung(self, ending: Ending, folder: Path) -> Action | None:
        """Return None: nothing is to be tried."""
        return None


def espresso_handlers(
    request: Request, file: str, *, physics: bool = False, reseed: bool = False
) -> list[ErrorHandler]:
    """Return the handlers of one program of a calculation, the first that matches wins.

    Parameters
    ----------
    request
        What is computed.
    file
        Input of the program; only pw.x and hp.x are corrected.
    physics
        Whether the last rungs may change smearing or symmetry; the result is then marked as not comparable.
    reseed
        Whether a state that lost its moments is tried once more with larger ones where the campaign says nothing.
    """
    if program_of(file) == "hp.x":
        return [ResponseHandler(file)]
    if program_of(file) != "pw.x":
        return []
    vacuum = has_vacuum(request.to_structure())  # into which charge may slosh
    handlers: list[ErrorHandler] = [
        UnrecoverableHandler(file),
        BandsHandler(file),
        DiagonalizationHandler(file),
        SloshingMonitor(file, vacuum),
        ScfHandler(file, vacuum, physics),
        FinalScfHandler(file),
        BfgsHandler(file),
        IonStepsHandler(file),
        InterruptedHandler(file),
        CellFactorHandler(file),
        SymmetryHandler(file, physics),
        TetrahedraHandler(file),
    ]
    again = state_handler(request, file, reseed=reseed)
    handlers += [] if again is None else [again]
    # What a shift moves is a difference of runs, all of which start from one density and are smeared alike.
    return handlers if request.step in SHIFT_STEPS else [*handlers, FillingHandler(file)]
