"""The guard before every subtraction: which settings of two calculations differ, in words.

Two energies may be subtracted only if code, functional, pseudopotentials, U, cutoffs, k-points, smearing and what
else decides an energy agree, both cycles converged, and no handler changed any of these while they ran. How much has
to agree depends on what is subtracted:

``same cell``
    Configurations of one cell: everything, composition, cell, k-mesh, charge and whether it is relaxed included.
``formation``
    Cells of other size and composition: meshes that one k-spacing makes, pseudopotentials and U of shared elements.
``defect``
    A defect and its host in the same cell with the same mesh; composition and charge are free.
``charge states``
    One cell with other numbers of electrons; another mesh is told, but hinders nothing.

Parallel settings, output and the way to convergence never count. Minor versions of a code are told and do not hinder;
another major version (VASP 5 and 6, pw.x 6 and 7) does, as defaults and the Hubbard projectors changed between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from heterodft.analysis.corrections import incomparable_reason
from heterodft.analysis.energies.calculation_settings import ESSENTIAL, is_without_width, settings_of
from heterodft.analysis.energies.vacuum import has_vacuum
from heterodft.analysis.gaps import find_gap

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from heterodft.analysis.result import Result

__all__ = ["Comparison", "Subtraction", "compare", "differences", "faults", "same_cell", "settings_of"]

Subtraction = Literal["same cell", "formation", "defect", "charge states"]

_PLAIN = {
    "code": "code",
    "xc": "functional",
    "cutoff": "cutoff",
    "density_cutoff": "density cutoff",
    "smearing": "smearing",
    "smearing_width": "smearing width",
    "precision": "precision of the grids",
    "projectors": "projectors",
    "aspherical": "gradient corrections inside the spheres (LASPH)",
    "noncollinear": "noncollinear moments",
    "spin_orbit": "spin-orbit coupling",
    "dispersion": "dispersion correction",
}
"""Settings that must agree whatever is subtracted, in words."""
_SMEARING = ("smearing", "smearing_width")
_EV = ("cutoff", "density_cutoff", "smearing_width")
_SAME_LENGTH = 2e-3
_SAME_NUMBER = 1e-4
_SAME_ANGLE = 0.05
_ROUNDING = 1e-4
_TAILS, _LONG_TAILS = 10.0, 40.0
"""Widths of smearing that a gap must hold for no state to be partly occupied; of Fermi and Dirac's."""
_SMALLEST_GAP = 0.1
"""eV; a smaller gap may be one of the mesh."""


@dataclass(frozen=True)
class Comparison:
    """Whether one energy may be subtracted from another.

    Attributes
    ----------
    differences
        What forbids it, in words.
    unknown
        What the files do not tell, in words; forbids it too, unless the user says that it agrees.
    notes
        What hinders nothing but should be known.
    """

    differences: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def may_subtract(self, *, trust: bool = False) -> bool:
        """Whether the subtraction may be made; `trust` is the user's word for what is unknown, never for more."""
        return not self.differences and (trust or not self.unknown)

    def reason(self, *, trust: bool = False) -> str:
        """Why it may not be made, in words; empty where it may."""
        return "; ".join(self.differences + (() if trust else self.unknown))

    def caveats(self, *, trust: bool = False) -> tuple[str, ...]:
        """What to say beside the number."""
        trusted = (f"trusted by the user: {'; '.join(self.unknown)}",) if trust and self.unknown else ()
        return trusted + self.notes


def differences(a: Result, b: Result, kind: Subtraction = "same cell") -> list[str]:
    """Return in words why two energies may not be subtracted; empty where they may.

    Returns
    -------
    list of str
        ``cutoff 520 eV against 400 eV``, ``U on Ni 4 eV against 6 eV``, ``B did not converge``, ``unknown: smearing
        of A``.
    """
    found = compare(a, b, kind)
    return [*found.differences, *found.unknown]


def compare(
    a: Result, b: Result, kind: Subtraction = "same cell", *, names: tuple[str, str] = ("A", "B")
) -> Comparison:
    """Compare what two energies rest on.

    Parameters
    ----------
    a, b
        The results whose energies are to be subtracted.
    kind
        What is subtracted, see the head of this module.
    names
        What to call the two.
    """
    ours = bool(a.request.get("request")) and bool(b.request.get("request"))
    first, second = settings_of(a, ours=ours), settings_of(b, ours=ours)
    missing = [
        f"unknown: {ESSENTIAL[key]} of {name}"
        for name, one in zip(names, (first, second), strict=True)
        for key in ESSENTIAL
        if one[key] is None
        and not (key == "smearing_width" and (one["smearing"] is None or is_without_width(one["smearing"])))
    ]
    told = [f"{name} {fault}" for name, one in zip(names, (a, b), strict=True) for fault in faults(one)]
    idle = _idle_smearing(first, second, (a, b), names)
    told += [
        *_plain(first, second, free=_SMEARING if idle else ()),
        *_by_element(first, second),
        *_raw(first, second, kind),
    ]
    kpoints, unclear, hint = _kpoints(first, second, (a, b), kind, names)
    told += [*kpoints, *_cells(first, second, (a, b), kind)]
    version, aside = _versions(first, second)
    notes = [*idle, *hint, *aside, *_beside(first, second, kind, names)]
    return Comparison(tuple(told + version), tuple(missing + unclear), tuple(notes))


def faults(result: Result) -> list[str]:
    """Return why the energy of a result means nothing on its own, in words that follow its name."""
    found = []
    if result.ended in ("crashed", "cut off"):
        found.append("crashed" if result.ended == "crashed" else "is cut off")
    if result.energy is None or not np.isfinite(result.energy):
        found.append("has no energy")
    elif result.converged is not True:
        found.append("did not converge" if result.converged is False else "does not tell whether it converged")
    reason = incomparable_reason(result.corrections)
    return found + ([f"was changed by a handler: {reason}"] if reason else [])


def _plain(first: Mapping[str, Any], second: Mapping[str, Any], *, free: Sequence[str] = ()) -> Iterator[str]:
    for key, name in _PLAIN.items():
        one, other = first[key], second[key]
        if key not in free and one is not None and other is not None and not _agree(one, other):
            yield f"{name} {_told(key, one)} against {_told(key, other)}"


def _idle_smearing(
    first: Mapping[str, Any], second: Mapping[str, Any], both: tuple[Result, Result], names: tuple[str, str]
) -> list[str]:
    """Return a note where smearings differ but do nothing to one of the two, whose gap is many widths wide."""
    told = [text for text in _plain(first, second, free=tuple(key for key in _PLAIN if key not in _SMEARING))]
    widths = [0.0 if is_without_width(each["smearing"]) else each["smearing_width"] for each in (first, second)]
    if not told or None in widths or None in (first["smearing"], second["smearing"]):
        return []
    tails = any("fermi" in str(each["smearing"]).lower() or each["smearing"] == "fd" for each in (first, second))
    least = (_LONG_TAILS if tails else _TAILS) * max(widths)
    for name, result in zip(names, both, strict=True):
        gap = find_gap(result) if result.bands is not None else None
        if gap is not None and gap.value is not None and not gap.metal and gap.value > max(least, _SMALLEST_GAP):
            return [f"{' and '.join(told)}: does nothing to {name}, which has a gap of {gap.value:.2f} eV"]
    return []


def _agree(one: Any, other: Any) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return isclose(one, other, rel_tol=_SAME_NUMBER, abs_tol=1e-9)
    return bool(str(one).lower() == str(other).lower())


def _told(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.6g} eV" if key in _EV else f"{value}"


def _by_element(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[str]:
    shared = sorted(set(first["elements"]) & set(second["elements"]))
    if first["hubbard"] is not None and second["hubbard"] is not None:
        for element in shared:
            one, other = (each["hubbard"].get(element, "0 eV") for each in (first, second))
            if one != other:
                yield f"U on {element} {one} against {other}"
    if first["pseudopotentials"] is not None and second["pseudopotentials"] is not None:
        for element in shared:
            one, other = (each["pseudopotentials"].get(element, "none told") for each in (first, second))
            if one != other:
                yield f"pseudopotential of {element} {one[:24]} against {other[:24]}"


def _raw(first: Mapping[str, Any], second: Mapping[str, Any], kind: Subtraction) -> Iterator[str]:
    free = ("nelect", "tot_charge") if kind in ("defect", "charge states") else ()
    for key in sorted(set(first["raw"]) | set(second["raw"])):
        one, other = (each["raw"].get(key) for each in (first, second))
        if key not in free and (one is None or other is None or not _agree(one, other)):
            yield f"{key} {'unset' if one is None else one} against {'unset' if other is None else other}"


def _versions(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    one, other = str(first["version"]), str(second["version"])
    if one == other or first["code"] != second["code"]:
        return [], []
    told = [f"version {one} against {other}"]
    return ([], told) if one.partition(".")[0] == other.partition(".")[0] else (told, [])


def _cells(
    first: Mapping[str, Any], second: Mapping[str, Any], both: tuple[Result, Result], kind: Subtraction
) -> Iterator[str]:
    a, b = (result.structure.composition for result in both)
    if kind in ("same cell", "charge states") and not a.almost_equals(b):
        yield f"atoms {a.formula} against {b.formula}"
    if kind != "formation" and not same_cell(first["cell"], second["cell"]):
        yield f"cell {_lengths(first['cell'])} against {_lengths(second['cell'])}"
    if (
        kind == "same cell"
        and first["relaxed"] != second["relaxed"]
        and None not in (first["relaxed"], second["relaxed"])
    ):
        yield f"{_relaxed(first)} against {_relaxed(second)}"
    if kind in ("same cell", "formation") and (first["charge"] or 0) != (second["charge"] or 0):
        yield f"charge {first['charge'] or 0:+g} against {second['charge'] or 0:+g}"
    if kind != "formation" and bool(first["dipole"]) != bool(second["dipole"]):
        yield f"dipole correction {_told('', bool(first['dipole']))} against {_told('', bool(second['dipole']))}"


def same_cell(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether two cells are the same up to a rotation of all: lengths of the vectors and the angles between them."""
    from pymatgen.core import Lattice

    first, second = Lattice(one), Lattice(other)
    lengths = np.allclose(first.abc, second.abc, rtol=0, atol=_SAME_LENGTH)
    return bool(lengths and np.allclose(first.angles, second.angles, rtol=0, atol=_SAME_ANGLE))


def _lengths(cell: NDArray[np.float64]) -> str:
    from pymatgen.core import Lattice

    lattice = Lattice(cell)
    angles = (
        ""
        if np.allclose(lattice.angles, 90, atol=_SAME_ANGLE)
        else " at " + " ".join(f"{angle:.1f}°" for angle in lattice.angles)
    )
    return "×".join(f"{length:.3f}" for length in lattice.abc) + " Å" + angles


def _unlike(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether one is relaxed and the other is not; False where that is not known."""
    return {first["relaxed"], second["relaxed"]} == {True, False}


def _relaxed(settings: Mapping[str, Any]) -> str:
    return "relaxed" if settings["relaxed"] else "not relaxed"


def _beside(
    first: Mapping[str, Any], second: Mapping[str, Any], kind: Subtraction, names: tuple[str, str]
) -> Iterator[str]:
    if kind in ("formation", "defect") and _unlike(first, second):
        yield f"{names[0]} is {_relaxed(first)}, {names[1]} {_relaxed(second)}"
    if kind == "same cell" and {first["relaxed"], second["relaxed"]} == {True, None}:
        moved, other = names if first["relaxed"] else names[::-1]
        yield f"{moved} was relaxed in its run; whether {other} is relaxed is not told"
    for name, one in zip(names, (first, second), strict=True):
        if one["charge"] is None and not one["ours"]:
            yield f"the charge of {name} is not told; taken as neutral"


def _kpoints(
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    both: tuple[Result, Result],
    kind: Subtraction,
    names: tuple[str, str],
) -> tuple[list[str], list[str], list[str]]:
    """Return what differs, what is unknown and what is only told of the k-points."""
    one, other = first["kpoints"], second["kpoints"]
    if one is None or other is None:
        return [], [], []
    numbers = [name for name, mesh in zip(names, (one, other), strict=True) if isinstance(mesh, int)]
    if kind == "formation":
        if numbers:
            return [], [f"unknown: k-mesh of {name} (only the number of its points is told)" for name in numbers], []
        told = _spacings(one, other, (both[0].structure, both[1].structure))
        shifted = [name for name, each in zip(names, (first, second), strict=True) if any(each["shift"] or ())]
        return told, [], [f"the k-mesh of {shifted[0]} alone is shifted"] if len(shifted) == 1 else []
    same = one == other and list(first["shift"] or (0, 0, 0)) == list(second["shift"] or (0, 0, 0))
    if same and not numbers and {first["gamma"], second["gamma"]} == {True, False}:
        told = [f"k-mesh {_mesh(one, None)} {_with_gamma(first)} against {_with_gamma(second)}"]
        return ([], [], told) if kind == "charge states" else (told, [], [])
    if same:
        return [], [], []
    if numbers:  # orders of other symmetry need other numbers of one mesh
        return [], [f"unknown: whether the k-meshes agree ({_mesh(one, None)} against {_mesh(other, None)})"], []
    told = [f"k-mesh {_mesh(one, first['shift'])} against {_mesh(other, second['shift'])}"]
    return ([], [], told) if kind == "charge states" else (told, [], [])


def _with_gamma(settings: Mapping[str, Any]) -> str:
    return "with Γ" if settings["gamma"] else "without Γ"


def _mesh(mesh: Any, shift: Any) -> str:
    if isinstance(mesh, int):
        return f"{mesh} points"
    return "×".join(map(str, mesh)) + (" shifted" if shift is not None and any(shift) else "")


def _spacings(one: Any, other: Any, structures: tuple[Structure, Structure]) -> list[str]:
    """Return how two meshes differ that no one k-spacing s makes, N = ceil(|b| / s); vacuum is free."""
    low, high = [], []
    for mesh, structure in zip((one, other), structures, strict=True):
        lengths = np.array(structure.lattice.reciprocal_lattice.abc)
        for axis, (length, number) in enumerate(zip(lengths, mesh, strict=True)):
            if not has_vacuum(structure, axis):
                low.append(length / number)
                high.append(length / (number - 1) if number > 1 else np.inf)
    if not low or max(low) < min(high) * (1 - _ROUNDING):
        return []
    return [f"k-mesh {_dense(one, structures[0])} against {_dense(other, structures[1])}"]


def _dense(mesh: Any, structure: Structure) -> str:
    lengths = structure.lattice.reciprocal_lattice.abc
    widest = max((lengths[i] / mesh[i] for i in range(3) if not has_vacuum(structure, i)), default=0.0)
    return f"{_mesh(mesh, None)} ({widest:.2f} 1/Å apart)"
