"""The handlers of a calculation with pw.x, in the order they are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heterodft.templates.espresso import program_of
from heterodft.workflows.custodians.espresso_base import EspressoHandler
from heterodft.workflows.custodians.espresso_ions import (
    BfgsHandler,
    CellFactorHandler,
    FinalScfHandler,
    InterruptedHandler,
    IonStepsHandler,
    SymmetryHandler,
)
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

__all__ = ["MAX_ERRORS", "UnrecoverableHandler", "espresso_handlers", "has_vacuum"]

MAX_ERRORS = 10
"""Corrections of one calculation in all."""
_VACUUM = 6.0
"""Å without an atom along the third vector."""


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
        Input of the program; only pw.x is corrected.
    physics
        Whether the last rungs may change smearing or symmetry; the result is then marked as not comparable.
    reseed
        Whether a state that lost its moments is tried once more with larger ones where the campaign says nothing.
    """
    if program_of(file) != "pw.x":
        return []
    vacuum = has_vacuum(request)
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
    ]
    again = state_handler(request, file, reseed=reseed)
    return handlers if again is None else [*handlers, again]


def has_vacuum(request: Request) -> bool:
    """Return whether the cell of a request has vacuum, into which charge may slosh."""
    from heterodft.templates.protocols.slabs import widest_gap

    structure = request.to_structure()
    return bool(request.settings.dipole) or widest_gap(structure)[1] * structure.lattice.c > _VACUUM
