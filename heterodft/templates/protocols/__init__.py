"""Protocols fast, balanced, stringent: one table of code-independent numbers, resolved for a step.

A value comes from the protocol unless the campaign, the structure or the step says otherwise; `StepSettings.origin`
remembers which.
"""

from __future__ import annotations

import math
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from heterodft.errors import InputError, did_you_mean
from heterodft.templates.kpoints import band_path, k_mesh, mesh_shift
from heterodft.templates.protocols.slabs import default_cell, has_dipole, is_slab
from heterodft.templates.protocols.step_settings import StepSettings
from heterodft.templates.steps import RELAXATIONS
from heterodft.units import parse_quantity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core import Structure

    from heterodft.templates.steps import StepName
    from heterodft.units import Dimension

__all__ = ["FREE_CELL", "PROTOCOLS", "StepSettings", "goes_coarse_first", "resolve_settings"]

PROTOCOLS = ("fast", "balanced", "stringent")
FREE_CELL = "free cell"
"""In the origin of a cutoff that is higher than that of the campaign."""

_CODES = ("espresso", "vasp")
_UNITS: dict[str, Dimension] = {
    "cutoff": "energy",
    "cell_cutoff": "energy",
    "smearing_width": "energy",
    "scf_tolerance": "energy",
    "dos_energy_step": "energy",
    "force_tolerance": "force",
}
_KEPT_BY_STEP = {"dos": ("smearing", "smearing_width", "shift_mesh"), "response": ("scf_tolerance",)}
"""What a value for the whole campaign does not change in a step: tetrahedra stay, and what a response needs."""


@cache
def _table() -> dict[str, dict[str, dict[str, Any]]]:
    from ruamel.yaml import YAML

    text = (resources.files(__package__) / "table.yaml").read_text(encoding="utf-8")
    return dict(YAML(typ="safe").load(text))


@cache
def _column(part: str, code: str, protocol: str) -> dict[str, Any]:
    """Return the values of one part of the table, in eV and Å."""
    values = {}
    for key, row in _table().get(part, {}).items():
        by_protocol = row.get(code) if any(name in row for name in _CODES) else row
        if by_protocol is not None:
            value = by_protocol[protocol]
            values[key] = parse_quantity(value, _UNITS[key]) if key in _UNITS else value
    return values


def _protocol_values(step: StepName, code: str, protocol: str) -> dict[str, Any]:
    """Return what the protocol says for a step."""
    parts = ["all", "relax", step] if step in RELAXATIONS else ["all", step]
    return {key: value for part in parts for key, value in _column(part, code, protocol).items()}


def goes_coarse_first(protocol: str) -> bool:
    """Return whether a protocol relaxes on a coarse mesh first."""
    return bool(_column("relax", "espresso", protocol)["coarse_first"])


def resolve_settings(
    structure: Structure,
    step: StepName,
    *,
    code: str = "espresso",
    xc: str = "PBE",
    protocol: str = "balanced",
    given: Sequence[tuple[str, Mapping[str, Any]]] = (),
) -> StepSettings:
    """Resolve the numbers of one step.

    Parameters
    ----------
    structure
        The cell, which turns a k-spacing into a mesh; its properties ``vacuum`` and ``blocks`` say whether it is a
        slab or a superlattice.
    step
        One of `heterodft.templates.steps.STEPS`.
    code
        ``espresso`` or ``vasp``.
    xc
        Functional.
    protocol
        One of `PROTOCOLS`.
    given
        Values that win over the protocol, each source with its name (``campaign``, ``structure``, ``step``), later
        ones over earlier ones. Keys are those of `StepSettings` and of the table; those that the step has no use for
        are left aside.

    Raises
    ------
    InputError
        If the protocol is unknown, a k-spacing is absurd, or the density cutoff is below four wavefunction cutoffs.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"method: unknown protocol '{protocol}'{did_you_mean(protocol, PROTOCOLS)}")
    values = _protocol_values(step, code, protocol)
    origin = dict.fromkeys(values, f"protocol {protocol}")
    _from_structure(structure, step, values, origin)
    for source, changes in given:
        kept = {key: value for key, value in changes.items() if key in values or key in _ALWAYS}
        if source != "step":
            kept = {key: value for key, value in kept.items() if key not in _KEPT_BY_STEP.get(step, ())}
        if (
            kept.get("empty_bands", math.inf) < values["empty_bands"]
            and step in ("dos", "bands")
            and source != "step"
        ):
            del kept["empty_bands"]  # fewer than its states above the gap need
        if step == "dos" and source != "step":
            kept = _denser_for_dos(structure, kept, _column("dos", code, protocol)["kspacing"])
        _check_dipole(structure, kept, source)
        _override(values, origin, kept, source)
    if is_slab(structure) and values.get("cell", "fixed") != "fixed":
        raise InputError(
            f"method: cell: {values['cell']} would shrink the vacuum of a slab; give the slab method: {{cell: fixed}}"
        )
    if values.get("cell", "fixed") != "fixed":
        _raise_cutoff(values, origin, protocol)
    if values["smearing"] != "tetrahedra" and not values["smearing_width"]:
        values["smearing_width"] = _column("all", code, protocol)["smearing_width"]
    _set_mesh(structure, step, values, origin)
    _set_density_cutoff(values, origin, code)
    fields = StepSettings.__dataclass_fields__
    return StepSettings(**{key: v for key, v in values.items() if key in fields}, xc=xc, origin=origin)


_ALWAYS = ("kpoints", "density_cutoff", "raw", "forced", "dipole")
"""Keys that no protocol has a number for."""


def _from_structure(structure: Structure, step: StepName, values: dict[str, Any], origin: dict[str, str]) -> None:
    """Add what follows from the kind of cell: a slab's screening and dipole, what a relaxation may change."""
    found: dict[str, Any] = {}
    if not is_slab(structure):
        values.pop("screening", None)
        origin.pop("screening", None)
    elif has_dipole(structure) and not structure.properties.get("charge"):
        found["dipole"] = True  # of a charged slab it would depend on where the slab lies
    if step in RELAXATIONS:
        found["cell"] = default_cell(structure)
    if step == "response":
        found["qpoints"] = (1, 1, 1)
    values |= found
    origin |= dict.fromkeys(found, "structure")


def _raise_cutoff(values: dict[str, Any], origin: dict[str, str], protocol: str) -> None:
    """Give a relaxation that changes the cell plane waves for its stress; a cutoff of the step itself stays."""
    if origin["cutoff"] == "step" or values["cutoff"] >= values["cell_cutoff"]:
        return
    _override(values, origin, {"cutoff": values["cell_cutoff"]}, f"protocol {protocol}, {FREE_CELL}")


def _check_dipole(structure: Structure, changes: dict[str, Any], source: str) -> None:
    """Refuse a dipole layer where there is no vacuum to put it in; a campaign's is that of its slabs."""
    if not is_slab(structure) and changes.pop("dipole", False) and source != "campaign":
        raise InputError(
            "method: dipole: true on a cell without vacuum, where the correction would lie in the matter"
        )


def _override(values: dict[str, Any], origin: dict[str, str], changes: dict[str, Any], source: str) -> None:
    """Let a source win. What depends on a changed value falls with it; raw settings are added, each with its own."""
    for key, dependent in (("kspacing", "kpoints"), ("cutoff", "density_cutoff")):
        if key in changes:
            values.pop(dependent, None)
            origin.pop(dependent, None)
    together = {key: values.get(key, {}) | changes[key] for key in ("raw", "forced") if key in changes}
    values |= changes | together
    origin |= dict.fromkeys(changes, source) | {f"{key}: {name}": source for key in together for name in changes[key]}


def _denser_for_dos(structure: Structure, given: dict[str, Any], kspacing: float) -> dict[str, Any]:
    """Campaign-wide meshes as a dos step takes them: at least as dense as the protocol's."""
    kept = dict(given)
    if kept.get("kspacing", 0.0) > kspacing:
        del kept["kspacing"]
    if "kpoints" in kept:
        protocol_mesh = k_mesh(structure, kspacing, slab=is_slab(structure))
        kept["kpoints"] = tuple(map(max, kept["kpoints"], protocol_mesh))
        if kept["kpoints"] == protocol_mesh:
            del kept["kpoints"]
    return kept


def _set_mesh(structure: Structure, step: StepName, values: dict[str, Any], origin: dict[str, str]) -> None:
    """Turn spacings into a mesh and a path; the coarse relaxation has fewer divisions and wider tolerances."""
    slab, factor = is_slab(structure), values.get("kspacing_factor", 1.0)
    if "kpoints" in values:
        values["kpoints"] = tuple(math.ceil(n / factor - 1e-9) for n in values["kpoints"])
    else:
        values["kpoints"] = k_mesh(structure, values["kspacing"], slab=slab)  # also refuses an absurd one by its name
        if factor != 1:
            values["kpoints"] = k_mesh(structure, values["kspacing"] * factor, slab=slab)
        origin["kpoints"] = origin["kspacing"]
    if step == "relax-coarse":
        values["force_tolerance"] *= values["force_factor"]
        values["scf_tolerance"] *= values["scf_factor"]
        for key in ("kpoints", "force_tolerance", "scf_tolerance"):
            origin[key] += ", coarse"
    if step == "bands":
        values["path"] = band_path(structure, values["path_spacing"], slab=slab)
        origin["path"] = origin["path_spacing"]
    values["shift"] = mesh_shift(structure, values["kpoints"], wanted=values["shift_mesh"])


def _set_density_cutoff(values: dict[str, Any], origin: dict[str, str], code: str) -> None:
    if code == "vasp":
        values["density_cutoff"] = None
        origin.pop("density_cutoff", None)
        return
    values.setdefault("density_cutoff", values["cutoff"] * values["density_factor"])
    origin.setdefault("density_cutoff", origin["density_factor"])
    if values["density_cutoff"] < 3.999 * values["cutoff"]:
        raise InputError(
            f"method: a density cutoff of {values['density_cutoff']:.0f} eV is below four times the cutoff of "
            f"{values['cutoff']:.0f} eV; raise it or leave it out"
        )
