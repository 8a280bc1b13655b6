"""vaspout.h5: what VASP 6 keeps in HDF5, in double precision."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.readers.opening import is_compressed, read_bytes
from heterodft.analysis.readers.separate_process import ChildDiedError, call_apart
from heterodft.analysis.readers.vasp.outcar import KILOBAR
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

    import h5py
    from numpy.typing import NDArray

__all__ = ["VaspoutData", "read_vaspout"]

_DYNAMICS = "intermediate/ion_dynamics"
_MAGNETISM = f"{_DYNAMICS}/magnetism"
_MOST_PACKED = 1000
"""Times that HDF5's compression shrinks numbers, at most."""
_MEMORY, _MEMORY_A_BYTE = 2 << 30, 20
_SECONDS, _SECONDS_A_BYTE = 30.0, 1e-7
"""What reading a file may cost: some, and more for each byte of it; far above what whole files need."""

_DAMAGE = (
    OSError, RuntimeError, KeyError, ValueError, TypeError, IndexError, AttributeError, OverflowError, MemoryError,
)  # fmt: skip
"""What h5py raises at damaged files."""


@dataclass(frozen=True)
class VaspoutData:
    """What a vaspout.h5 holds; None where it does not.

    Attributes
    ----------
    version
        Such as ``6.4.1``.
    incar
        Settings given, by their names.
    elements
        One a site.
    titles, valences, counts
        Of the pseudopotentials and the sites of each species.
    lattice, fractional
        Å, shape (3, 3), and shape (site, 3): of the last ionic step that has an energy.
    ionic_steps
        Their number.
    energy
        eV, energy(sigma→0) of the last ionic step.
    forces, stress
        eV/Å, shape (site, 3); eV/Å³, shape (3, 3), positive when the cell wants to shrink.
    fermi_level, electrons
        eV; their number.
    eigenvalues, occupations
        eV and 0…1, shape (spin, k, band).
    kpoints, weights
        Fractional, shape (k, 3); shape (k,).
    dos_energies, dos, dos_partial
        eV; states per eV, shape (spin, energy) and (site, column, spin, energy).
    projections
        Shape (spin, k, band, site, column); None when not asked for.
    columns
        VASP's names of the orbitals.
    shells
        Names of the columns of the moments.
    charges, moments
        In spheres, of the last ionic step: shape (site, shell) and (component, site, shell).
    """

    version: str
    incar: dict[str, Any] = field(default_factory=dict)
    elements: tuple[str, ...] | None = None
    titles: tuple[str, ...] = ()
    valences: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    lattice: NDArray[np.float64] | None = None
    fractional: NDArray[np.float64] | None = None
    ionic_steps: int = 0
    energy: float | None = None
    forces: NDArray[np.float64] | None = None
    stress: NDArray[np.float64] | None = None
    fermi_level: float | None = None
    electrons: float | None = None
    eigenvalues: NDArray[np.float64] | None = None
    occupations: NDArray[np.float64] | None = None
    kpoints: NDArray[np.float64] | None = None
    weights: NDArray[np.float64] | None = None
    dos_energies: NDArray[np.float64] | None = None
    dos: NDArray[np.float64] | None = None
    dos_partial: NDArray[np.float64] | None = None
    projections: NDArray[np.float64] | None = None
    columns: tuple[str, ...] = ()
    shells: tuple[str, ...] = ()
    charges: NDArray[np.float64] | None = None
    moments: NDArray[np.float64] | None = None


def read_vaspout(path: Path, *, projections: bool = False) -> VaspoutData:
    """Read a vaspout.h5, plain or compressed.

    Parameters
    ----------
    path
        The file.
    projections
        Whether to read the projections of bands, most of the file.

    Raises
    ------
    ReaderError
        If the file cannot be opened, is cut off, or holds arrays that do not fit each other.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise ReaderError(f"cannot read {path}: {error.strerror}") from error
    memory, seconds = _MEMORY + _MEMORY_A_BYTE * size, _SECONDS + _SECONDS_A_BYTE * size
    try:
        return call_apart(read_here, path, projections, memory=memory, seconds=seconds)
    except ChildDiedError as error:
        raise ReaderError(f"cannot read {path}: {error}; a damaged file?") from error


def read_here(path: Path, projections: bool) -> VaspoutData:
    """Read a file in this process, which HDF5 crashes at some damaged ones; see `read_vaspout`."""
    import h5py

    source: Any = io.BytesIO(read_bytes(path)) if is_compressed(path) else path
    try:
        with h5py.File(source, "r") as file:
            return VaspoutData(**_read(file, projections=projections))
    except _DAMAGE as error:
        raise ReaderError(f"cannot read {path}: {' '.join(str(error).split())[:150]}; a damaged file?") from error


def _read(file: h5py.File, *, projections: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"version": _version(file), "incar": _incar(file)}
    found |= _species(file)
    found |= _ionic_step(file)
    found |= _electrons(file)
    found |= _density(file)
    found |= _magnetism(file)
    if "results/projectors/lchar" in file:
        found["columns"] = tuple(map(_text, _get(file, "results/projectors/lchar")))
    if projections and "results/projectors/par" in file:
        found["projections"] = np.ascontiguousarray(_array(file, "results/projectors/par").transpose(0, 3, 4, 1, 2))
    _check(found)
    return found


def _get(file: h5py.File, name: str) -> Any:
    """Return a dataset of numbers or texts that the file is large enough for."""
    import h5py

    found = file[name]
    if found.dtype.kind not in "biufS" and h5py.check_string_dtype(found.dtype) is None:
        raise ValueError(f"{name} holds neither numbers nor text")
    if found.nbytes > (_MOST_PACKED if found.chunks else 1) * file.id.get_filesize():
        raise ValueError(f"{name} says that it is larger than the file could hold")
    return found[()]


def _array(file: h5py.File, name: str) -> NDArray[np.float64]:
    values = np.asarray(_get(file, name), dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"{name} holds something that is no number")
    return values


def _maybe(file: h5py.File, name: str) -> NDArray[np.float64] | None:
    return _array(file, name) if name in file else None


def _text(value: Any) -> str:
    return value.decode("latin-1").strip() if isinstance(value, bytes) else str(value).strip()


def _version(file: h5py.File) -> str:
    return ".".join(str(int(_get(file, f"version/{part}"))) for part in ("major", "minor", "patch"))


def _incar(file: h5py.File) -> dict[str, Any]:
    where = "input/incar"
    values = {name: _get(file, f"{where}/{name}") for name in file.get(where, ())}
    return {
        name: _text(value) if isinstance(value, bytes) else value.tolist() if hasattr(value, "tolist") else value
        for name, value in values.items()
    }


def _species(file: h5py.File) -> dict[str, Any]:
    where = "results/positions" if "results/positions/ion_types" in file else "input/poscar"
    kinds = [_text(name).split("/")[0].split("_")[0] for name in _get(file, f"{where}/ion_types")]
    counts = tuple(int(count) for count in _get(file, f"{where}/number_ion_types"))
    if not all(0 < count <= file.id.get_filesize() for count in counts):
        raise ValueError(f"{where}/number_ion_types reads {counts}")
    found: dict[str, Any] = {
        "counts": counts,
        "elements": tuple(kind for kind, count in zip(kinds, counts, strict=True) for _ in range(count)),
    }
    if "input/potcar/content" in file:
        text = _text(_get(file, "input/potcar/content"))
        titles = [" ".join(t.split(";")[0].split()) for t in re.findall(r"TITEL  =([^\n]*)", text)]
        valences = tuple(float(z) for z in re.findall(r"ZVAL   =\s*([\d.]+)", text))
        found |= {"titles": tuple(titles), "valences": valences if len(valences) == len(counts) else ()}
    return found


def _ionic_step(file: h5py.File) -> dict[str, Any]:
    """Read the last ionic step; before its end, only the structure that was given."""
    found: dict[str, Any] = {}
    energies = _maybe(file, f"{_DYNAMICS}/energies")
    if energies is None or not len(energies):
        found["lattice"] = _array(file, "input/poscar/lattice_vectors") * float(_get(file, "input/poscar/scale"))
        positions = _array(file, "input/poscar/position_ions")
        direct = bool(_get(file, "input/poscar/direct_coordinates"))
        found["fractional"] = positions if direct else positions @ np.linalg.inv(found["lattice"])
        return found
    tags = [_text(tag) for tag in _get(file, f"{_DYNAMICS}/energies_tags")]
    found |= {"ionic_steps": len(energies), "energy": float(energies[-1, tags.index("energy(sigma->0)")])}
    found["lattice"] = _array(file, f"{_DYNAMICS}/lattice_vectors")[-1]
    found["fractional"] = _array(file, f"{_DYNAMICS}/position_ions")[-1]
    forces, stress = _maybe(file, f"{_DYNAMICS}/forces"), _maybe(file, f"{_DYNAMICS}/stress")
    found["forces"] = None if forces is None else forces[-1]
    found["stress"] = None if stress is None else -KILOBAR * stress[-1]
    return found


def _electrons(file: h5py.File) -> dict[str, Any]:
    where = "results/electron_eigenvalues"
    if where not in file:
        return {}
    weights = _array(file, f"{where}/kpoints_symmetry_weight")
    return {
        "electrons": float(_get(file, f"{where}/nelectrons")) if f"{where}/nelectrons" in file else None,
        "eigenvalues": _array(file, f"{where}/eigenvalues"),
        "occupations": _array(file, f"{where}/fermiweights"),
        "kpoints": _array(file, f"{where}/kpoint_coords"),
        "weights": weights / weights.sum(),
    }


def _density(file: h5py.File) -> dict[str, Any]:
    where = "results/electron_dos"
    if where not in file:
        return {}
    found: dict[str, Any] = {"fermi_level": float(_get(file, f"{where}/efermi"))}
    if f"{where}/dos" in file:
        found |= {"dos_energies": _array(file, f"{where}/energies"), "dos": _array(file, f"{where}/dos")}
    partial = _maybe(file, f"{where}/dospar")
    if partial is not None:
        found["dos_partial"] = np.ascontiguousarray(partial.transpose(1, 2, 0, 3))
    return found


def _magnetism(file: h5py.File) -> dict[str, Any]:
    if f"{_MAGNETISM}/moments" not in file:
        return {}
    values = _array(file, f"{_MAGNETISM}/moments")[-1]
    tags = [_text(tag) for tag in _get(file, f"{_MAGNETISM}/component_tags")]
    if tags[0] != "total charge":
        raise ValueError(f"{_MAGNETISM}/component_tags begins with '{tags[0]}', not with the charge")
    shells = tuple(map(_text, _get(file, f"{_MAGNETISM}/orbital_tags")))
    return {"shells": shells, "charges": values[0], "moments": values[1:] if len(values) > 1 else None}


def _check(found: dict[str, Any]) -> None:
    """Refuse arrays that do not fit each other."""
    sites = len(found["elements"])
    shapes = {
        "fractional": (sites, 3), "lattice": (3, 3), "forces": (sites, 3), "stress": (3, 3),
        "charges": (sites, len(found.get("shells", ()))),
    }  # fmt: skip
    if found.get("eigenvalues") is not None:
        shapes |= {"occupations": found["eigenvalues"].shape, "kpoints": (found["eigenvalues"].shape[1], 3)}
    for name, shape in shapes.items():
        value = found.get(name)
        if value is not None and value.shape != shape:
            raise ValueError(f"{name} has the shape {value.shape}, not {shape}")
