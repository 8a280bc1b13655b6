"""Protocols fast, balanced, stringent: one table of code-independent numbers, resolved for a step.

A value comes from the protocol unless the campaign or the step says otherwise; `StepSettings.origin` remembers
which.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from heterodft.errors import InputError, did_you_mean
from heterodft.units import parse_quantity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core import Structure

__all__ = ["PROTOCOLS", "StepName", "StepSettings", "k_mesh", "resolve_settings"]

PROTOCOLS = ("fast", "balanced", "stringent")
StepName = Literal["static", "dos"]

_MAXIMUM_MESH = 60
_ENERGIES = ("cutoff", "smearing_width", "scf_tolerance", "dos_energy_step")
_DOS_KEYS = {"kspacing": "dos_kspacing", "empty_bands": "dos_empty_bands"}


@dataclass(frozen=True)
class StepSettings:
    """Every number that decides what one step computes.

    Attributes
    ----------
    xc
        Functional, ``PBE`` or ``PBEsol``.
    cutoff, density_cutoff
        eV.
    kpoints, shift
        Mesh of each reciprocal direction, and whether it is shifted by half a division.
    smearing, smearing_width
        Kind and eV; the dos step integrates with tetrahedra and takes none.
    scf_tolerance
        eV an atom.
    max_scf_steps, mixing
        Of the SCF cycle; `mixing` is the fraction of the new density.
    empty_bands
        Fraction of the filled ones.
    dos_energy_step
        eV, grid of the density of states.
    raw
        Settings handed to the DFT code as they are.
    origin
        Where each value came from: ``protocol fast``, ``campaign`` or ``step``; no part of the identity.
    """

    xc: str
    cutoff: float
    density_cutoff: float
    kpoints: tuple[int, int, int]
    shift: tuple[int, int, int]
    smearing: str
    smearing_width: float
    scf_tolerance: float
    max_scf_steps: int
    mixing: float
    empty_bands: float
    dos_energy_step: float
    raw: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data without the origins."""
        data = asdict(self)
        del data["origin"]
        return data | {"kpoints": list(self.kpoints), "shift": list(self.shift)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StepSettings:
        """Rebuild settings from `to_dict`."""
        return cls(**{**data, "kpoints": tuple(data["kpoints"]), "shift": tuple(data["shift"])})


@cache
def _table() -> dict[str, dict[str, Any]]:
    from ruamel.yaml import YAML

    text = (resources.files(__package__) / "table.yaml").read_text(encoding="utf-8")
    table = dict(YAML(typ="safe").load(text))
    for key in _ENERGIES:
        table[key] = {protocol: parse_quantity(value, "energy") for protocol, value in table[key].items()}
    return table


def k_mesh(structure: Structure, kspacing: float) -> tuple[int, int, int]:
    """Return the mesh whose divisions are at most `kspacing` apart.

    N_i = ceil(|b_i| / kspacing) with b_i the reciprocal vectors including 2π, at least 1.

    Parameters
    ----------
    structure
        The cell.
    kspacing
        1/Å, including 2π.

    Raises
    ------
    InputError
        If the spacing is not positive or makes more than 60 divisions.
    """
    if kspacing <= 0:
        raise InputError(f"kspacing {kspacing:g} 1/Å; give a positive spacing such as 0.25")
    lengths = np.array(structure.lattice.reciprocal_lattice.abc)
    mesh = np.maximum(1, np.ceil(lengths / kspacing - 1e-6).astype(int))
    if mesh.max() > _MAXIMUM_MESH:
        raise InputError(
            f"kspacing {kspacing:g} 1/Å makes a mesh of {'x'.join(map(str, mesh))}; "
            "give a wider spacing (the usual range is 0.1 to 0.5)"
        )
    return int(mesh[0]), int(mesh[1]), int(mesh[2])


def resolve_settings(
    structure: Structure,
    step: StepName,
    *,
    xc: str = "PBE",
    protocol: str = "balanced",
    given: Sequence[tuple[str, Mapping[str, Any]]] = (),
) -> StepSettings:
    """Resolve the numbers of one step.

    Parameters
    ----------
    structure
        The cell, which turns a k-spacing into a mesh.
    step
        ``static`` or ``dos``.
    xc
        Functional.
    protocol
        One of `PROTOCOLS`.
    given
        Values that win over the protocol, each source with its name (``campaign``, ``structure``, ``step``), later
        ones over earlier ones. Keys are those of `StepSettings` and ``kspacing``, ``density_factor``, ``shift_mesh``.

    Raises
    ------
    InputError
        If the protocol is unknown, a k-spacing is absurd, or the density cutoff is below four wavefunction cutoffs.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"method: unknown protocol '{protocol}'{did_you_mean(protocol, PROTOCOLS)}")
    values = _protocol_values(step, protocol)
    origin = dict.fromkeys(values, f"protocol {protocol}")
    for source, changes in given:
        kept = dict(changes)
        if step == "dos" and source != "step":
            kept = _denser_for_dos(structure, kept, _table()["dos_kspacing"][protocol])
        _override(values, origin, kept, source)
    if values["smearing"] != "tetrahedra" and not values["smearing_width"]:
        values["smearing_width"] = _table()["smearing_width"][protocol]
    values.setdefault("kpoints", k_mesh(structure, values["kspacing"]))
    origin.setdefault("kpoints", origin["kspacing"])
    values.setdefault("density_cutoff", values["cutoff"] * values["density_factor"])
    origin.setdefault("density_cutoff", origin["density_factor"])
    if values["density_cutoff"] < 3.999 * values["cutoff"]:
        raise InputError(
            f"method: a density cutoff of {values['density_cutoff']:.0f} eV is below four times the cutoff of "
            f"{values['cutoff']:.0f} eV; raise it or leave it out"
        )
    values["shift"] = _shift(structure, values["kpoints"], wanted=values["shift_mesh"])
    fields = StepSettings.__dataclass_fields__
    return StepSettings(**{key: v for key, v in values.items() if key in fields}, xc=xc, origin=origin)


def _protocol_values(step: StepName, protocol: str) -> dict[str, Any]:
    """Return what the protocol says for a step: a dos step has its own mesh and bands, and integrates tetrahedra."""
    values = {
        key: _table()[_DOS_KEYS[key]][protocol] if step == "dos" and key in _DOS_KEYS else column[protocol]
        for key, column in _table().items()
        if key not in _DOS_KEYS.values()
    }
    if step == "dos":
        values |= {"shift_mesh": False, "smearing": "tetrahedra", "smearing_width": 0.0}
    return values


def _override(values: dict[str, Any], origin: dict[str, str], changes: dict[str, Any], source: str) -> None:
    """Let a source win. What depends on a changed value falls with it; raw settings are added."""
    for key, dependent in (("kspacing", "kpoints"), ("cutoff", "density_cutoff")):
        if key in changes:
            values.pop(dependent, None)
            origin.pop(dependent, None)
    values |= changes | {"raw": values.get("raw", {}) | changes.get("raw", {})}
    origin |= dict.fromkeys(changes, source)


def _denser_for_dos(structure: Structure, given: dict[str, Any], kspacing: float) -> dict[str, Any]:
    """Campaign-wide values as a dos step takes them: tetrahedra stay, the mesh is at least the protocol's."""
    kept = {
        key: v for key, v in given.items() if key not in ("smearing", "smearing_width", "shift_mesh", "empty_bands")
    }
    if kept.get("kspacing", 0.0) > kspacing:
        del kept["kspacing"]
    if "kpoints" in kept:
        protocol_mesh = k_mesh(structure, kspacing)
        kept["kpoints"] = tuple(map(max, kept["kpoints"], protocol_mesh))
        if kept["kpoints"] == protocol_mesh:
            del kept["kpoints"]
    return kept


def _shift(structure: Structure, kpoints: tuple[int, int, int], *, wanted: bool) -> tuple[int, int, int]:
    right_angled = np.allclose(structure.lattice.angles, 90, atol=1e-3)
    a, b, c = (int(wanted and right_angled and n % 2 == 0) for n in kpoints)
    return a, b, c
