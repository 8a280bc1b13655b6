"""The tags of an INCAR on spin, U and shifts: MAGMOM by site, LDAU by block of the POSCAR."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from heterodft.errors import InputError
from heterodft.templates.hubbard import ORBITALS_OF
from heterodft.templates.setup import Section, Setup, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterodft.templates.shifts import PotentialShift

__all__ = ["hubbard_tags", "magnetism_tags", "site_order"]


def site_order(setup: Setup) -> list[int]:
    """Return the builder's index of each site of the POSCAR."""
    return [index for block in setup.blocks for index in block.sites]


def magnetism_tags(setup: Setup) -> Section:
    """Moments in the order of the POSCAR, in every step: VASP finds the symmetry with them."""
    order = site_order(setup)
    moments = [0.0 if setup.moments is None else float(setup.moments[index]) for index in order]
    if not setup.noncollinear:
        polarized = {"ISPIN": Value(2, "magnetism"), "MAGMOM": Value(_repeated(moments), "magnetism")}
        return {"ISPIN": Value(1, "magnetism")} if setup.moments is None else polarized
    vectors = [
        setup.directions[i] if m and setup.directions else (0.0, 0.0, 0.0)
        for i, m in zip(order, moments, strict=True)
    ]
    numbers = [round(m * x, 6) + 0.0 for m, vector in zip(moments, vectors, strict=True) for x in vector]
    # Without it VASP would start every site with a moment.
    section = {"LNONCOLLINEAR": Value(True, "magnetism"), "MAGMOM": Value(_repeated(numbers), "magnetism")}
    if setup.spin_orbit:
        section |= {"LSORBIT": Value(True, "magnetism"), "SAXIS": Value("0 0 1", "magnetism")}
        section |= {"LORBMOM": Value(True, "magnetism"), "GGA_COMPAT": Value(False, "magnetism")}
        section["ISYM"] = Value(-1, "magnetism")  # energies of two directions over the very same k-points
    return section


def _repeated(values: Sequence[float]) -> str:
    groups = [(value, len(list(group))) for value, group in groupby(values)]
    return " ".join(f"{value:g}" if number == 1 else f"{number}*{value:g}" for value, number in groups)


def hubbard_tags(setup: Setup) -> Section:
    """U by block of the POSCAR. The scheme holds for all blocks: with a J anywhere it is Liechtenstein's."""
    blocks = setup.blocks
    section: Section = {}
    if setup.shift is not None:
        section = _shift_tags(setup, setup.shift)
    elif any(block.hubbard for block in blocks):
        if any(block.hubbard and block.hubbard.start for block in blocks):
            raise InputError(
                "hubbard: VASP starts from given occupations only with a patch (LDAUTYPE 4 and an occupation file); "
                "leave occupations out, start from other moments, or use Quantum ESPRESSO"
            )
        full = any(block.hubbard and block.hubbard.j is not None for block in blocks)
        shells = [-1 if block.hubbard is None else "spdf".index(block.hubbard.shell[-1]) for block in blocks]
        section = {
            "LDAU": Value(True, "hubbard"),
            "LDAUTYPE": Value(1 if full else 2, "hubbard"),
            "LDAUL": Value(" ".join(map(str, shells)), "hubbard"),
            "LDAUU": Value(" ".join(f"{b.hubbard.u if b.hubbard else 0:g}" for b in blocks), "hubbard"),
            "LDAUJ": Value(" ".join(f"{(b.hubbard.j or 0) if b.hubbard else 0:g}" for b in blocks), "hubbard"),
            "LDAUPRINT": Value(1, "hubbard"),
        }
    largest = _largest_shell(setup)
    if largest in ("d", "f"):  # the density handed on must hold the products of these orbitals
        section["LMAXMIX"] = Value(4 if largest == "d" else 6, "structure")
    return section


def _shift_tags(setup: Setup, shift: PotentialShift) -> Section:
    """The block of one site with a potential on its orbitals: LDAUU acts on spin up and LDAUJ on spin down.

    Raises
    ------
    InputError
        If there is a U: LDAUTYPE 3 takes the place of one.
    """
    corrected = sorted(
        {block.element for block in setup.blocks if block.hubbard and (block.hubbard.u or block.hubbard.j)}
    )
    if corrected:
        raise InputError(
            f"linear response: VASP shifts a site (LDAUTYPE 3) only without U, and {', '.join(corrected)} has one; "
            "give U of 0, or use Quantum ESPRESSO"
        )
    here = [block.sites == (shift.site,) for block in setup.blocks]
    shell = next(b.hubbard.shell[-1] for b, shifted in zip(setup.blocks, here, strict=True) if shifted and b.hubbard)
    numbers = " ".join(f"{shift.alpha if shifted else 0:g}" for shifted in here)
    return {
        "LDAU": Value(True, "shift"),
        "LDAUTYPE": Value(3, "shift"),
        "LDAUL": Value(" ".join(str("spdf".index(shell) if shifted else -1) for shifted in here), "shift"),
        "LDAUU": Value(numbers, "shift"),
        "LDAUJ": Value(numbers, "shift"),
        "LDAUPRINT": Value(1, "shift"),
    }


def _largest_shell(setup: Setup) -> str:
    from pymatgen.core import Element

    shells = {block.hubbard.shell[-1] for block in setup.blocks if block.hubbard}
    for name in dict.fromkeys(setup.elements):
        element = Element(name)
        if element.is_transition_metal:
            shells.add("d")
        if (element.is_lanthanoid and name not in ("La", "Lu")) or element.is_actinoid:
            shells.add("f")
    return max(shells, key=list(ORBITALS_OF).index, default="s")
