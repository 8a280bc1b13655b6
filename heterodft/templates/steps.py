"""The steps of a chain: what each computes, from which step it starts, and what it takes over from that step.

A chain runs relax-coarse → relax → static, and from the static step dos, bands, potential, charge, the response of
hp.x, and the shifts of a potential that give U by linear response (`heterodft.templates.shifts`). Starting
moments are written in every input file, since VASP and pw.x find the symmetry with them; where a density is taken
over, the spin density in it decides where the cycle starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NEED_A_STATIC_STEP", "RELAXATIONS", "STEPS", "StepName", "TakenOver", "parent_of", "taken_over"]

StepName = Literal[
    "relax-coarse", "relax", "static", "dos", "bands", "potential", "charge", "response", "shift-bare", "shift"
]  # fmt: skip

STEPS: tuple[StepName, ...] = get_args(StepName)
"""In the order a chain runs them."""
RELAXATIONS: tuple[StepName, ...] = ("relax-coarse", "relax")
NEED_A_STATIC_STEP: tuple[StepName, ...] = (
    "dos", "bands", "potential", "charge", "response", "shift-bare", "shift",
)  # fmt: skip


@dataclass(frozen=True)
class TakenOver:
    """What a step takes from its parent.

    Attributes
    ----------
    structure, density, wavefunctions
        Whether it takes each; a density carries the spin density, and with U the occupation matrices.
    reason
        Why not all, in words.
    """

    structure: bool
    density: bool
    wavefunctions: bool
    reason: str = ""

    @property
    def text(self) -> str:
        """As in a table: ``structure, density``."""
        names = [name for name in ("structure", "density", "wavefunctions") if getattr(self, name)]
        return ", ".join(names) or "nothing"


_OTHER_MESH = "wavefunctions belong to another mesh"
_LESS_SYMMETRY = "a shifted site leaves other k-points"
_TAKEN = {
    ("espresso", "relax-coarse"): TakenOver(True, True, False, _OTHER_MESH),
    ("espresso", "relax"): TakenOver(True, True, False, _OTHER_MESH),
    ("espresso", "static"): TakenOver(True, True, False, "few iterations are left from the density"),
    ("espresso", "dos"): TakenOver(True, True, False, _OTHER_MESH),
    ("espresso", "bands"): TakenOver(True, True, False, _OTHER_MESH),
    ("espresso", "potential"): TakenOver(True, True, False, "pp.x needs none for a potential"),
    ("espresso", "charge"): TakenOver(True, True, False, "pp.x needs none for a density"),
    ("espresso", "shift-bare"): TakenOver(True, True, False, _LESS_SYMMETRY),
    ("espresso", "shift"): TakenOver(True, True, False, _LESS_SYMMETRY),
    ("espresso", "response"): TakenOver(True, True, False, "hp.x needs tighter ones, computed first"),
    ("vasp", "relax-coarse"): TakenOver(True, True, False, _OTHER_MESH),
    ("vasp", "relax"): TakenOver(True, True, False, _OTHER_MESH),
    ("vasp", "static"): TakenOver(True, True, True),
    ("vasp", "dos"): TakenOver(True, True, False, _OTHER_MESH),
    ("vasp", "bands"): TakenOver(True, True, False, _OTHER_MESH),
    ("vasp", "potential"): TakenOver(True, True, True),
    ("vasp", "charge"): TakenOver(True, True, True),
    ("vasp", "shift-bare"): TakenOver(True, True, False, _LESS_SYMMETRY),
    ("vasp", "shift"): TakenOver(True, True, False, _LESS_SYMMETRY),
    ("vasp", "response"): TakenOver(True, True, False, "it is not computed with VASP"),
}


def parent_of(step: StepName, before: Sequence[StepName]) -> StepName | None:
    """Return the step that another one starts from, of those that run before it.

    Examples
    --------
    >>> parent_of("bands", ["relax", "static", "dos"]), parent_of("static", [])
    ('static', None)
    """
    wanted = {"relax": ("relax-coarse",), "static": ("relax", "relax-coarse")}.get(step, ("static",))
    return next((name for name in reversed(before) if name in wanted), None)


def taken_over(
    code: str, step: StepName, parent: StepName | None, *, same_basis: bool = True, same_hubbard: bool = True
) -> TakenOver:
    """Return what a step takes from its parent.

    Parameters
    ----------
    code, step, parent
        The step, and the one it starts from.
    same_basis
        Whether both have the same mesh, cutoff and number of bands, without which wavefunctions are of no use.
    same_hubbard
        Whether both have the same U, without which a density is of no use: it lacks the occupations of the shells.
    """
    if parent is None:
        return TakenOver(False, False, False)
    taken = _TAKEN[code, step]
    if not same_hubbard:
        return TakenOver(taken.structure, False, False, "the density is one without U")
    if taken.wavefunctions and not same_basis:
        return TakenOver(
            taken.structure, taken.density, False, "wavefunctions belong to another mesh, cutoff or bands"
        )
    return taken
