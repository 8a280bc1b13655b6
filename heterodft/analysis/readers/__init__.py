"""Readers, one a format, and `read_folder`, which makes the one Result of a finished folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heterodft.analysis.readers.espresso.assembly import read_espresso
from heterodft.analysis.readers.espresso.files import EspressoFiles, find_espresso_files
from heterodft.analysis.readers.opening import SUFFIXES, find_file, read_text
from heterodft.analysis.readers.recorded import read_recorded, unrecorded_corrections
from heterodft.analysis.readers.vasp.assembly import read_vasp
from heterodft.errors import ReaderError
from heterodft.files import read_json

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from heterodft.analysis.result import Result

__all__ = ["read_folder"]

_VASP_FILES = ("vasprun.xml", "OUTCAR", "vaspout.h5", "DOSCAR", "PROCAR", "OSZICAR")


def read_folder(
    folder: Path | str, *, projections: bool = False, prefix: str | None = None, strict: bool = False
) -> Result:
    """Read a folder in which VASP or pw.x (and projwfc.x) ran, ours or not.

    Parameters
    ----------
    folder
        Of VASP: with any of ``vasprun.xml``, ``OUTCAR``, ``vaspout.h5`` …, plain or compressed. Of pw.x: with its XML
        file (``NAME.save/data-file-schema.xml``, also alone or in an outdir), its standard output under any name, or
        both; what projwfc.x left is read as well. With a ``request.json`` the labels of its sites are taken over; a
        ``result.json`` that our queue recorded beside it is returned as it is: it also says what handlers changed.
        The path of one such file stands for its folder; of an XML file in a ``.save`` folder, for the folder of that;
        of a standard output of pw.x, for that file alone.
    projections
        Whether to decode the projections of each band, which may be large.
    prefix
        Which run of pw.x, where a folder holds several.
    strict
        Whether a file of Quantum ESPRESSO that is damaged or missing is an error: for a folder just computed. Without
        it, what is there is read, and `Result.notes` tells what is not.

    Raises
    ------
    ReaderError
        If there is nothing to read, files are damaged beyond use, or do not belong together.
    """
    folder, files = Path(folder), None
    if folder.is_file():
        folder, files, prefix = _folder_of(folder, prefix)
    elif not folder.is_dir():
        raise ReaderError(f"{folder} does not exist; give the folder of a finished VASP or pw.x run")
    request = read_json(folder / "request.json") if (folder / "request.json").is_file() else {}
    if not isinstance(request.get("request", {}), dict):
        raise ReaderError(f"{folder / 'request.json'} holds no request; remove it, or copy it again")
    recorded = None if strict or files is not None else read_recorded(folder, request)
    if recorded is not None and not projections:
        return recorded
    try:
        result = _read_outputs(folder, files, request, projections=projections, prefix=prefix, strict=strict)
    except ReaderError:
        if recorded is None:
            raise
        return replace(recorded, notes=(*recorded.notes, "no projections of bands: the outputs were removed"))
    if recorded is not None:
        return replace(result, corrections=recorded.corrections, request=recorded.request)
    return result if strict or not request else replace(result, corrections=unrecorded_corrections(folder))


def _read_outputs(
    folder: Path,
    files: EspressoFiles | None,
    request: dict[str, Any],
    *,
    projections: bool,
    prefix: str | None,
    strict: bool,
) -> Result:
    if files is None and _is_vasp(folder, request):
        result = read_vasp(folder, request, projections=projections)
    else:
        files = files or find_espresso_files(folder, prefix)
        if files.nothing and _asked_code(request) is None:
            raise _nothing_found(folder)
        result = read_espresso(files, request, projections=projections, strict=strict)
    try:
        return replace(result, structure=_labelled(result.structure, request, folder))
    except KeyError as error:
        raise ReaderError(f"{folder / 'request.json'} lacks {error}; remove it to read the folder without") from error


def _nothing_found(folder: Path) -> ReaderError:
    steps = sorted(path.parent.name for path in folder.glob("*/request.json"))
    which = f"that of one of its steps: {', '.join(steps)}" if steps else "the folder of a finished run"
    return ReaderError(
        f"{folder} holds nothing of VASP ({', '.join(_VASP_FILES)}) nor of pw.x "
        f"(*.save/data-file-schema.xml, an output with 'Program PWSCF'); give {which}"
    )


def _asked_code(request: dict[str, Any]) -> str | None:
    code = request.get("request", {}).get("code")
    return None if code is None else str(code)


def _is_vasp(folder: Path, request: dict[str, Any]) -> bool:
    return _asked_code(request) == "vasp" or any(find_file(folder, name) for name in _VASP_FILES)


def _folder_of(path: Path, prefix: str | None) -> tuple[Path, EspressoFiles | None, str | None]:
    """Return the folder of a file and, where only this file of it is meant, the files of pw.x to read."""
    name = path.name.removesuffix(path.suffix) if path.suffix in SUFFIXES[1:] else path.name
    if name in _VASP_FILES:
        return path.parent, None, prefix
    if path.parent.suffix == ".save":
        folder, prefix = path.parent.parent, path.parent.stem
        return folder, replace(find_espresso_files(folder, prefix), xml=path), prefix
    if name.endswith(".xml"):
        return path.parent, replace(_files_around(path.parent), xml=path), prefix
    if "Program PWSCF" in read_text(path)[:16_384]:
        return path.parent, EspressoFiles(path.parent, None, (path,)), prefix
    raise ReaderError(f"{path} is neither an output of VASP nor of pw.x; give the folder of a finished run")


def _files_around(folder: Path) -> EspressoFiles:
    try:
        return find_espresso_files(folder)
    except ReaderError:  # several runs, one of which was named
        return EspressoFiles(folder, None)


def _labelled(structure: Structure, request: dict[str, Any], folder: Path) -> Structure:
    """Give the sites the labels of the request, which has them in the same order, and a defect its place."""
    asked = request.get("request", {}).get("structure")
    if asked is None:
        return structure
    try:
        species, labels = list(asked["species"]), dict(asked["site_properties"])
        complete = all(len(values) == len(species) for values in labels.values())
    except (KeyError, TypeError, ValueError) as error:
        raise ReaderError(f"{folder / 'request.json'} holds no structure; remove it, or copy it again") from error
    if [site.species_string for site in structure] != species or not complete:
        raise ReaderError(f"{folder}: the result has other atoms than its request.json; files of another run?")
    for name, values in labels.items():
        structure.add_site_property(name, values)
    defect = request.get("about", {}).get("defect")
    if defect:
        structure.properties["defect"] = {**defect, "position": _moved(defect["position"], asked, structure)}
    return structure


def _moved(place: list[float], asked: dict[str, Any], structure: Structure) -> list[float]:
    """Return a place (Å) of the cell asked for in the one it relaxed to, at the same fractions of the cell."""
    from pymatgen.core import Lattice

    moved: list[float] = (Lattice(asked["lattice"]).get_fractional_coords(place) @ structure.lattice.matrix).tolist()
    return moved
