"""Every number that decides what one step computes."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from heterodft.templates.kpoints import BandPath

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["StepSettings"]

_NO_IDENTITY = ("origin", "moment_tolerance")


@dataclass(frozen=True)
class StepSettings:
    """Every number that decides what one step computes; None where the code or the step has no such number.

    Attributes
    ----------
    xc
        Functional, ``PBE`` or ``PBEsol``.
    cutoff, density_cutoff
        eV; VASP takes the second from its precision.
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
    raw, forced
        Settings handed to the DFT code as they are; the forced ones even where they contradict the request.
    spin_mixing
        Fraction of the new spin density (VASP).
    screening
        ``local`` where charge may slosh between matter and vacuum.
    precision, projectors
        Grids, ``normal`` or ``accurate``, and where projectors act, ``real`` or ``reciprocal`` (VASP).
    cell
        Of a relaxation: ``fixed``, ``c`` (its height along the normal is free) or ``full``.
    force_tolerance, max_ion_steps
        eV/Å, largest component; of a relaxation.
    path
        k-points of a band structure.
    dipole
        Whether a slab's dipole is corrected for.
    qpoints, response_tolerance
        Of a response step: mesh of wave vectors, and the change of a response (1/eV) at which it is converged.
    origin
        Where each value came from: ``protocol fast``, ``campaign``, ``structure``, ``step``; no part of the identity.
    moment_tolerance
        μB, see `heterodft.templates.species`; what it merged is part of the identity, itself it is not.
    """

    xc: str
    cutoff: float
    density_cutoff: float | None
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
    forced: dict[str, Any] | None = None
    spin_mixing: float | None = None
    screening: str | None = None
    precision: str | None = None
    projectors: str | None = None
    cell: str | None = None
    force_tolerance: float | None = None
    max_ion_steps: int | None = None
    path: BandPath | None = None
    dipole: bool | None = None
    qpoints: tuple[int, int, int] | None = None
    response_tolerance: float | None = None
    origin: dict[str, str] = field(default_factory=dict, compare=False)
    moment_tolerance: float = field(default=0.0, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data of what is part of the identity; what is None is left out."""
        data = {key: value for key, value in vars(self).items() if value is not None and key not in _NO_IDENTITY}
        if self.path is not None:
            data["path"] = {
                "kpoints": [[round(x, 10) + 0.0 for x in k] for k in self.path.kpoints],
                "labels": [list(label) for label in self.path.labels],
            }
        if self.qpoints is not None:
            data["qpoints"] = list(self.qpoints)
        return data | {"kpoints": list(self.kpoints), "shift": list(self.shift)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StepSettings:
        """Rebuild settings from `to_dict`."""
        path = data.get("path")
        if path is not None:
            path = BandPath(tuple(map(tuple, path["kpoints"])), tuple(map(tuple, path["labels"])))
        known = {f.name for f in fields(cls)}
        values: dict[str, Any] = {"density_cutoff": None} | {k: v for k, v in data.items() if k in known}
        lists = {"kpoints": tuple(data["kpoints"]), "shift": tuple(data["shift"]), "path": path}
        if "qpoints" in data:
            lists["qpoints"] = tuple(data["qpoints"])
        return cls(**{**values, **lists})
