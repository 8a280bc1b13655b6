"""Structures as files, with every label and moment: JSON, POSCAR beside its JSON, CIF; and as ASE atoms."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Lattice, Structure  # the rest of pymatgen is imported where it is used: it takes a second

from heterodft.errors import ReaderError, StructureError
from heterodft.files import make_folder, read_json, write_json, write_text

if TYPE_CHECKING:
    from pathlib import Path

    from ase import Atoms

__all__ = ["read_structure", "to_ase", "write_structure"]

_LABELS = ("material", "block", "layer", "plane", "bulk_position", "magmom")
_ABOUT = "_heterodft_about"
_DIGITS = 10


def write_structure(structure: Structure, folder: Path, name: str, *, comment: str = "") -> list[Path]:
    """Write a structure as ``NAME.json``, ``NAME.vasp`` and ``NAME.cif``.

    Parameters
    ----------
    structure
        With any of the site properties of `build_superlattice`, and ``magmom`` (μB).
    folder
        Made where it does not exist.
    name
        Of the files.
    comment
        First line of the POSCAR, after the name.

    Returns
    -------
    list of Path
        JSON holds everything; the POSCAR is sorted by atomic number, and `read_structure` finds its labels in the
        JSON file of the same name; the CIF holds the labels as columns of its own.
    """
    from pymatgen.io.vasp import Poscar

    make_folder(folder)
    ordered = [structure[i] for i in _by_number(structure)]
    poscar = Poscar(Structure.from_sites(ordered), comment=f"{name} {comment}".strip())
    return [
        write_json(folder / f"{name}.json", structure.as_dict()),
        write_text(folder / f"{name}.vasp", poscar.get_str(significant_figures=_DIGITS)),
        write_text(folder / f"{name}.cif", _cif(structure)),
    ]


def _by_number(structure: Structure) -> list[int]:
    """Return the order of sites in a POSCAR: elements by atomic number, as they come within an element."""
    return sorted(range(len(structure)), key=lambda i: structure[i].specie.Z)


def _cif(structure: Structure) -> str:
    """Return P1 CIF text with labels, moments (also in the standard magnetic loop) and ``properties`` as JSON."""
    from pymatgen.io.cif import CifWriter

    plain = Structure(structure.lattice, [s.specie for s in structure], structure.frac_coords)
    text = str(CifWriter(plain, significant_figures=_DIGITS))
    names = [f"{site.specie.symbol}{i}" for i, site in enumerate(structure)]
    kept = [key for key in _LABELS if key in structure.site_properties]
    loop = ["loop_", " _heterodft_site_label", *(f" _heterodft_site_{key}" for key in kept)]
    columns = [structure.site_properties[key] for key in kept]
    for name, row in zip(names, zip(*columns, strict=True), strict=True):
        values = map(_json, row)
        loop.append(" ".join([f"  {name}", *(f"'{value}'" for value in values)]))
    kept_about = {"lattice": structure.lattice.matrix.tolist(), "properties": structure.properties}
    about = _json(_plain(kept_about))
    return f"{text.rstrip()}\n" + "\n".join([*loop, *_moment_loop(structure, names), _ABOUT, ";", about, ";", ""])


def _moment_loop(structure: Structure, names: list[str]) -> list[str]:
    """Return moments along the Cartesian z axis in the standard loop, so that other programs see them."""
    moments = structure.site_properties.get("magmom")
    if not moments or not any(moments):
        return []
    edges = structure.lattice.matrix / np.array(structure.lattice.abc)[:, None]
    along = np.linalg.solve(edges.T, [0.0, 0.0, 1.0])
    rows = ["loop_", " _atom_site_moment_label", *(f" _atom_site_moment_crystalaxis_{x}" for x in "xyz")]
    return rows + [
        "  " + " ".join([name, *(f"{float(moment) * x:.6f}" for x in along)])
        for name, moment in zip(names, moments, strict=True)
        if moment
    ]


def _json(value: Any) -> str:
    """Return JSON in which nothing reads as a quote or a comment of a CIF."""
    return json.dumps(value, separators=(",", ":")).replace("'", "\\u0027").replace("#", "\\u0023")


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=float))


def read_structure(path: Path) -> Structure:
    """Read a structure that `write_structure` wrote, with its labels and moments, in the builder's order of sites.

    Parameters
    ----------
    path
        ``NAME.json``, ``NAME.cif``, or ``NAME.vasp`` beside ``NAME.json``; the POSCAR may have been relaxed
        meanwhile.

    Raises
    ------
    StructureError
        If the file is not of that kind, or does not belong to the JSON file.
    """
    from pymatgen.io.vasp import Poscar

    if path.suffix == ".json":
        return _from_json(path)
    if path.suffix == ".cif":
        return _read_cif(path)
    beside = path.with_suffix(".json")
    if not beside.is_file():
        raise StructureError(f"{path}: its labels are in {beside.name}, which is not beside it")
    labelled = _from_json(beside)
    try:
        found = Poscar.from_str(_text(path)).structure
    except (ValueError, IndexError) as error:
        raise StructureError(f"{path} is no POSCAR: {error}") from error
    order = _by_number(labelled)
    if [site.specie for site in found] != [labelled[i].specie for i in order]:
        raise StructureError(f"{path} has other atoms than {beside.name}; write it again from its campaign")
    places = np.empty((len(found), 3))
    places[order] = found.frac_coords
    moved = Structure(
        found.lattice, [site.specie for site in labelled], places, site_properties=labelled.site_properties
    )
    moved.properties = labelled.properties
    return moved


def _from_json(path: Path) -> Structure:
    try:
        return Structure.from_dict(read_json(path))
    except (ReaderError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise StructureError(f"{path} is no structure as JSON: {' '.join(str(error).split())[:100]}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StructureError(f"cannot read {path}: {error}") from error


def _read_cif(path: Path) -> Structure:
    from pymatgen.io.cif import CifFile

    try:
        data = next(iter(CifFile.from_str(_text(path)).data.values())).data
        lengths = [float(data[f"_cell_length_{x}"]) for x in "abc"]
        angles = [float(data[f"_cell_angle_{x}"]) for x in ("alpha", "beta", "gamma")]
        places = np.array([[float(x) for x in data[f"_atom_site_fract_{axis}"]] for axis in "xyz"]).T
        keys = [key for key in _LABELS if f"_heterodft_site_{key}" in data]
        labels = {key: [json.loads(text) for text in data[f"_heterodft_site_{key}"]] for key in keys}
        about = json.loads("".join(data[_ABOUT].split("\n")))
        lattice = _as_it_lay(Lattice.from_parameters(*lengths, *angles), about["lattice"])
        structure = Structure(lattice, data["_atom_site_type_symbol"], places, site_properties=labels)
    except (KeyError, ValueError, TypeError, StopIteration, IndexError) as error:
        text = " ".join(str(error).split())[:100]
        raise StructureError(f"{path} is no CIF file of heterodft: {text}; read it as a material's file:") from error
    structure.properties = about["properties"]
    return structure


def _as_it_lay(found: Lattice, matrix: list[list[float]]) -> Lattice:
    """Turn a lattice, of which a CIF knows lengths and angles alone, to where it lay when it was written."""
    u, _, v = np.linalg.svd(np.linalg.solve(found.matrix, np.array(matrix)))
    return Lattice(found.matrix @ (u @ v))


def to_ase(structure: Structure) -> Atoms:
    """Return ASE atoms with the labels as arrays and ``magmom`` as initial magnetic moments."""
    from pymatgen.io.ase import AseAtomsAdaptor

    atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
    for key in _LABELS:
        if key in structure.site_properties and key != "magmom":
            atoms.set_array(key, np.array(structure.site_properties[key]))  # type: ignore[no-untyped-call]
    return atoms
