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
from heterodft.analysis.energies.cell_comparison import cell_differences, cell_notes
from heterodft.analysis.energies.mesh_comparison import compare_meshes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from heterodft.analysis.result import Result

__all__ = ["Comparison", "Subtraction", "compare", "differences", "faults", "settings_of"]

Subtraction = Literal["same cell", "formation", "defect", "charge states"]

_PLAIN = {
    "code": "code",
    "xc": "functional",
    "cutoff": "cutoff",
    "density_cutoff": "density cutoff",
    "smearing": "smearing",
    "smearing_width": "smearing width",
    "precision": "precision of the grids",
    "support_grid": "support grid (ADDGRID)",
    "projectors": "projectors",
    "aspherical": "gradient corrections inside the spheres (LASPH)",
    "noncollinear": "noncollinear moments",
    "spin_orbit": "spin-orbit coupling",
    "dispersion": "dispersion correction",
}
"""Settings that must agree whatever is subtracted, in words."""
_EV = ("cutoff", "density_cutoff", "smearing_width")
_SAME_NUMBER = 1e-4


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
    told += [*_plain(first, second), *_by_element(first, second), *_raw(first, second, kind)]
    kpoints, unclear, hint = compare_meshes(first, second, (a, b), kind, names)
    told += [*kpoints, *cell_differences(first, second, (a, b), kind)]
    version, aside = _versions(first, second)
    notes = [*hint, *aside, *cell_notes(first, second, kind, names)]
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
    if (result.request.get("request") or {}).get("shift"):
        found.append("has a site with a shifted potential")
    reason = incomparable_reason(result.corrections)
    return found + ([f"was changed by a handler: {reason}"] if reason else [])


def _plain(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[str]:
    for key, name in _PLAIN.items():
        one, other = first[key], second[key]
        if one is not None and other is not None and not _agree(one, other):
            yield f"{name} {_told(key, one)} against {_told(key, other)}"


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
