"""The two files that a result is kept in: ``result.json`` with what is small, ``result.npz`` with its arrays."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from heterodft.analysis.response import ResponseU
from heterodft.analysis.result import (
    ARRAYS_FILE,
    RESULT_FILE,
    Bands,
    HubbardOccupations,
    ProjectedDos,
    Result,
    SiteValues,
)
from heterodft.errors import ReaderError
from heterodft.files import atomic_writer, read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["load_result", "result_data", "save_result"]

_SCHEMA = 1
_SITE_ARRAYS = ("vectors", "shell_charges", "shell_moments", "orbital_charges")


def result_data(result: Result) -> dict[str, Any]:
    """Return the small, readable part as plain JSON data."""
    from heterodft.analysis.gaps import find_gap

    gap = find_gap(result) if result.bands is not None else None
    return {
        "schema": _SCHEMA,
        "id": result.id,
        "code": result.code,
        "version": result.version,
        "step": result.step,
        "energy": result.energy,
        "gap": None if gap is None else gap.value,
        "gap_detail": None if gap is None else gap.to_dict(),
        "moment": result.total_moment,
        "absolute_moment": result.absolute_moment,
        "fermi_levels": list(result.fermi_levels),
        "electrons": result.electrons,
        "converged": result.converged,
        "iterations": result.iterations,
        "accuracy": result.accuracy,
        "cpu_seconds": result.cpu_seconds,
        "wall_seconds": result.wall_seconds,
        "spilling": result.spilling,
        "sites": {kind: _site_data(values) for kind, values in result.sites.items()},
        "forces": None if result.forces is None else result.forces.tolist(),
        "stress": None if result.stress is None else result.stress.tolist(),
        "method": result.method,
        "ended": result.ended,
        "notes": list(result.notes),
        "occupations": [[each.site, each.shell, _matrix_data(each.matrices)] for each in result.occupations],
        "structure": result.structure.as_dict(),
        "request": result.request,
        "corrections": result.corrections,
        **({"spent": result.spent} if result.spent else {}),
        **({} if result.response is None else {"response": result.response.to_data()}),
    }


def save_result(result: Result, folder: Path) -> None:
    """Write ``result.npz``, then ``result.json``, whose presence says that both are whole."""
    arrays: dict[str, Any] = {}
    if result.bands is not None:
        arrays |= {f"bands_{name}": value for name, value in vars(result.bands).items() if value is not None}
    if result.dos is not None:
        arrays |= {f"dos_{name}": value for name, value in vars(result.dos).items()}
    for name in () if result.response is None else ("chi0", "chi"):
        if (matrix := getattr(result.response, name)) is not None:
            arrays[f"response_{name}"] = matrix
    for name in ("dos_values", "bands_projections"):  # single precision: codes print three or four digits
        if name in arrays:
            arrays[name] = arrays[name].astype(np.float32)
    with atomic_writer(folder / ARRAYS_FILE) as stream:
        np.savez_compressed(stream, **arrays)
    write_json(folder / RESULT_FILE, result_data(result))


def load_result(folder: Path) -> Result:
    """Read back what `save_result` wrote.

    Raises
    ------
    ReaderError
        If a file is missing, cut off, or of another version.
    """
    data = read_json(folder / RESULT_FILE)
    if data.get("schema") != _SCHEMA:
        raise ReaderError(f"{folder / RESULT_FILE}: schema {data.get('schema')} is not {_SCHEMA}; analyse it again")
    try:
        with (folder / ARRAYS_FILE).open("rb") as stream, np.load(stream) as arrays:
            held = {key: arrays[key] for key in arrays.files}
    except (OSError, ValueError, EOFError, KeyError, BadZipFile, zlib.error) as error:
        raise ReaderError(f"cannot read {folder / ARRAYS_FILE}: {error}; analyse the folder again") from error
    try:
        return _from_data(data, held)
    except KeyError as error:
        raise ReaderError(f"{folder / RESULT_FILE} lacks {error}; analyse the folder again") from error


def _from_data(data: dict[str, Any], held: dict[str, Any]) -> Result:
    from pymatgen.core import Structure

    keys = ("code", "version", "step", "electrons", "energy", "absolute_moment", "converged", "iterations")
    return Result(
        **{key: data[key] for key in (*keys, "accuracy", "cpu_seconds", "wall_seconds", "spilling", "request")},
        structure=Structure.from_dict(data["structure"]),
        corrections=data.get("corrections", []),
        total_moment=data["moment"],
        fermi_levels=tuple(data["fermi_levels"]),
        sites={kind: _site_values(kind, values) for kind, values in data["sites"].items()},
        bands=Bands(**_fields(held, "bands_")) if "bands_energies" in held else None,
        dos=ProjectedDos(**_fields(held, "dos_")) if "dos_energies" in held else None,
        forces=_array(data.get("forces")),
        stress=_array(data.get("stress")),
        method=data.get("method", {}),
        ended=data.get("ended", "finished"),
        notes=tuple(data.get("notes", ())),
        spent=data.get("spent", {}),
        occupations=tuple(
            HubbardOccupations(site, shell, _matrices(matrices))
            for site, shell, matrices in data.get("occupations", ())
        ),
        response=ResponseU.from_data(data["response"], _fields(held, "response_")) if "response" in data else None,
    )


def _site_data(values: SiteValues) -> dict[str, Any]:
    """Return the numbers of sites as JSON data; those that a code did not tell are left out."""
    arrays = {name: getattr(values, name) for name in _SITE_ARRAYS}
    return {
        "charges": list(values.charges),
        "moments": None if values.moments is None else list(values.moments),
        **{name: array.tolist() for name, array in arrays.items() if array is not None},
    }


def _site_values(kind: str, data: dict[str, Any]) -> SiteValues:
    return SiteValues(
        kind,
        tuple(data["charges"]),
        None if data["moments"] is None else tuple(data["moments"]),
        **{name: _array(data.get(name)) for name in _SITE_ARRAYS},
    )


def _matrix_data(matrices: NDArray[Any]) -> Any:
    """Return matrices as JSON data; complex ones as their real and imaginary parts."""
    if np.iscomplexobj(matrices):
        return {"real": matrices.real.tolist(), "imaginary": matrices.imag.tolist()}
    return matrices.tolist()


def _matrices(data: Any) -> NDArray[Any]:
    return np.array(data["real"]) + 1j * np.array(data["imaginary"]) if isinstance(data, dict) else np.array(data)


def _array(data: Any) -> NDArray[np.float64] | None:
    return None if data is None else np.array(data, dtype=np.float64)


def _fields(held: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Return the fields of an array class; names come back as words, single precision as double."""
    found = {key.removeprefix(prefix): value for key, value in held.items() if key.startswith(prefix)}
    return {
        name: tuple(map(str, value)) if name in ("orbitals", "labels") else value.astype(np.float64)
        for name, value in found.items()
    }
