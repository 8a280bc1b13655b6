"""Which file of a folder is what: XML files and standard outputs of pw.x and projwfc.x under any name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from heterodft.analysis.readers.opening import SUFFIXES, read_head
from heterodft.errors import ReaderError

__all__ = ["EspressoFiles", "find_espresso_files"]

_XML = "data-file-schema.xml"
_OUTPUT_SUFFIXES = {"", ".out", ".log", ".txt", ".stdout", ".output", ".pwo", ".scf", ".nscf", ".relax", ".bands"}
_ATTEMPT = re.compile(r".+\.out\.\d+")
"""``pw.out.1`` …: earlier attempts of a run."""
_HEAD = 16_384
_PROGRAM = re.compile(rb"Program (PWSCF|PROJWFC) ")


@dataclass(frozen=True)
class EspressoFiles:
    """What there is of Quantum ESPRESSO.

    Attributes
    ----------
    folder
        Where.
    xml
        The XML file of pw.x, or None.
    outputs, projections
        Standard outputs of pw.x and of projwfc.x.
    crash
        The file ``CRASH``, or None.
    old
        ``data-file.xml`` of versions before 6.1, or None.
    """

    folder: Path
    xml: Path | None
    outputs: tuple[Path, ...] = field(default=())
    projections: tuple[Path, ...] = field(default=())
    crash: Path | None = None
    old: Path | None = None

    @property
    def nothing(self) -> bool:
        """Whether none was found."""
        return not (self.xml or self.outputs or self.crash or self.old)


def find_espresso_files(folder: Path, prefix: str | None = None) -> EspressoFiles:
    """Find the files of one run of pw.x and of what followed it.

    Raises
    ------
    ReaderError
        If there are XML files of several runs, and `prefix` does not say which.
    """
    found = _xml_files(folder, prefix)
    if len(found) > 1:
        names = ", ".join(str(path.relative_to(folder)) for path in found[:6])
        raise ReaderError(
            f"{folder} holds {len(found)} pw.x results ({names}); expected one: give the path of one, or its prefix"
        )
    if prefix is not None and not found:
        raise ReaderError(f"{folder} holds no pw.x result of prefix '{prefix}' (looked for {prefix}.save/{_XML})")
    rest = _without_xml(folder)
    return EspressoFiles(folder, found[0] if found else None, rest.outputs, rest.projections, rest.crash, rest.old)


def _xml_files(folder: Path, prefix: str | None) -> list[Path]:
    """Return the XML files of the first place that has any: ``*.save``, the folder, an outdir below it, ``*.xml``."""
    save = "*.save" if prefix is None else f"{prefix}.save"
    places = [f"{save}/{_XML}", f"*/{save}/{_XML}", f"{prefix or '*'}.xml"]
    if prefix is None:
        places.insert(1, _XML)
    for place in places:
        found = {path.with_suffix("") if path.suffix != ".xml" else path: path for path in _globbed(folder, place)}
        if place.endswith("*.xml") or place == f"{prefix}.xml":
            found = {name: path for name, path in found.items() if _is_schema(path)}
        if place.startswith("*/"):
            found = {name: path for name, path in found.items() if not _is_run(path.parent.parent)}
        if found:
            return sorted(found.values())
    return []


def _is_run(folder: Path) -> bool:
    """Tell whether a folder is one of a run, with its output, and no outdir of another."""
    return any(_program(path) == b"PWSCF" for path in folder.iterdir())


def _globbed(folder: Path, place: str) -> list[Path]:
    """Return files, the compressed before the plain, which a dictionary then keeps."""
    return [path for suffix in reversed(SUFFIXES) for path in sorted(folder.glob(place + suffix)) if path.is_file()]


def _is_schema(path: Path) -> bool:
    return b"quantum-espresso.org/ns/qes" in read_head(path, _HEAD)


def _without_xml(folder: Path) -> EspressoFiles:
    outputs, projections = [], []
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise ReaderError(f"cannot read {folder}: {error.strerror}") from error
    for path in paths:
        program = _program(path)
        if program == b"PWSCF":
            outputs.append(path)
        elif program == b"PROJWFC":
            projections.append(path)
    crash, old = folder / "CRASH", [*folder.glob("*.save/data-file.xml"), *folder.glob("data-file.xml")]
    return EspressoFiles(
        folder,
        None,
        tuple(outputs),
        tuple(projections),
        crash if crash.is_file() else None,
        old[0] if old else None,
    )


def _program(path: Path) -> bytes | None:
    """Return which program printed a file, None for any other file."""
    name = path.name.removesuffix(path.suffix) if path.suffix in SUFFIXES[1:] else path.name
    if name.startswith(".") or Path(name).suffix not in _OUTPUT_SUFFIXES or _ATTEMPT.fullmatch(name):
        return None
    found = _PROGRAM.search(read_head(path, _HEAD)) if path.is_file() else None
    return found[1] if found else None
