"""Handlers of occupations: insulators with a Fermi level among their bands, tetrahedra on a mesh without symmetry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heterodft.analysis.misfilling import find_misfilling
from heterodft.analysis.readers import read_folder
from heterodft.errors import HeterodftError
from heterodft.templates.espresso_edit import read_value
from heterodft.workflows.custodians.espresso_base import EspressoHandler

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.analysis.misfilling import Misfilling
    from heterodft.workflows.custodians.espresso_base import Action
    from heterodft.workflows.custodians.symptoms import Ending

__all__ = ["FillingHandler", "TetrahedraHandler"]

_SMEARING, _NOSYM = "system->smearing", "system->nosym"
_NOT_MONOTONIC = ("mv", "m-v", "marzari-vanderbilt", "cold", "mp", "m-p", "methfessel-paxton")
_SELF_CONSISTENT = ("scf", "relax", "vc-relax")


class FillingHandler(EspressoHandler):
    """A cycle that ended well with the electrons of an insulator smeared over a gap wider than seven widths.

    The same width of Gaussian smearing puts the Fermi level into such a gap, and the energy is then that without any
    smearing, which may be compared with those of metals as if it were of their kind; see
    `heterodft.analysis.misfilling`.
    """

    max_num_corrections = 1

    def concerns(self, ending: Ending, folder: Path) -> bool:
        """Return whether the run ended well, and its electrons are not those of the insulator it is."""
        smearing = (read_value(ending.asked, _SMEARING) or "").lower()
        if ending.symptom or not ending.printed.finished or smearing not in _NOT_MONOTONIC:
            return False
        ended = ending.printed.relaxed if ending.moved else ending.printed.converged
        return bool(ended) and ending.calculation in _SELF_CONSISTENT and _misfilled(folder) is not None

    def words(self, ending: Ending) -> str:
        """Return what was wrong."""
        return "the Fermi level of an insulator is among its bands"

    def rung(self, ending: Ending, folder: Path) -> Action | None:
        """Return Gaussian smearing from the density, or from where the atoms have moved to."""
        return {
            "_set": {_SMEARING: "gauss"},
            "_continue": "positions" if ending.moved else "density",
            "_keeps": ["smearing"],
        }


def _misfilled(folder: Path) -> Misfilling | None:
    try:
        found = find_misfilling(read_folder(folder))
    except (HeterodftError, OSError):
        return None
    return found if found is not None and found.is_wide else None


class TetrahedraHandler(EspressoHandler):
    """The mesh lacks a symmetry of the crystal, and tetrahedra cannot be drawn: symmetry is left out.

    So it is in cells that lean, such as superlattices along [111], once a vacancy leaves them a mirror. Such a
    symmetry joins few points of the mesh: 17 of (SrTiO3)1/(LaAlO3)1 are 20 without it. The bands are the same.
    """

    symptoms = ("tetrahedra",)
    max_num_corrections = 1

    def rung(self, ending: Ending, folder: Path) -> Action | None:
        """Return the same bands without symmetry, once."""
        if read_value(ending.asked, _NOSYM) is not None:
            return None
        return {"_set": {_NOSYM: True}, "_keeps": ["symmetry"]}
