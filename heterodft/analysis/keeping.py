"""What a report can be written from again, without what the calculations left besides: request, result, arrays.

The arrays are rounded in binary, so that they take less space compressed: band energies to 2^-23 eV, densities of
states to 12 of their 24 significant bits, 1 in 4096, where codes print three or four digits. What is below 1e-7
states per eV is nothing. The archive is packed with LZMA, which numpy reads as well, and is the same each time.

Of the bands of a path the parts on the layers are not kept, nor are grids, so that a potential, a spin density
between planes, and bands coloured by layer are not drawn again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from zipfile import ZIP_LZMA, ZipFile, ZipInfo

import numpy as np

from heterodft.analysis.readers.espresso.output import read_doubts
from heterodft.analysis.result import ARRAYS_FILE, RESULT_FILE, Result
from heterodft.analysis.state_marks import STATE_FILE
from heterodft.errors import ReaderError, StorageError
from heterodft.files import atomic_writer, make_folder, read_json, write_text

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Kept", "keep_results"]

_OUTPUT = "pw.out"
_SMALL_FILES = ("request.json", "failure.json", "custodian.json", STATE_FILE)
_SPACING = 2.0**-23
"""eV between band energies."""
_BITS = 12
"""Of the significand of a density of states in single precision, which has 24."""
_NOTHING = 1e-7
"""States per eV. Sums over layers, and band edges found by counting few states, feel what is far below the peaks."""
_NO_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Kept:
    """How many calculations were kept, how many of them are finished, and the bytes they take."""

    calculations: int
    finished: int
    bytes: int


def keep_results(root: Path, folder: Path, *, paths: Collection[str] | None = None) -> Kept:
    """Copy what is needed to report on a campaign again.

    Parameters
    ----------
    root
        Of the campaign, ``runs/demo``.
    folder
        Where its folder is made, ``examples/demo/results/runs``; what is there of other calculations stays.
    paths
        Of the configurations to keep, ``demo/sl/FM/Ti-3d-4eV``; by default all.

    Raises
    ------
    ReaderError
        If there is nothing to keep, or a result is unreadable.
    StorageError
        If the folder cannot be written, or is that of the runs themselves.
    """
    if folder.resolve() == root.parent.resolve():
        raise StorageError(f"{folder} is the folder of the runs; keep their results in another one")
    steps = [
        path.parent
        for path in sorted(root.glob("*/*/*/*/request.json"))
        if read_json(path)["request"]["step"] == path.parent.name  # others were moved aside by a later submission
    ]
    if paths is not None:
        steps = [step for step in steps if str(step.parent.relative_to(root.parent)) in paths]
    if not steps:
        raise ReaderError(f"{root} holds no calculation to keep")
    finished = size = 0
    for step in steps:
        place = make_folder(folder / step.relative_to(root.parent))
        finished += _keep(step, place)
        size += sum(path.stat().st_size for path in place.iterdir())
    return Kept(len(steps), finished, size)


def _keep(step: Path, place: Path) -> bool:
    """Copy one calculation; return whether it is finished."""
    result = Result.load(step) if (step / RESULT_FILE).is_file() else None  # before what was kept of it goes
    for name in (*_SMALL_FILES, RESULT_FILE, ARRAYS_FILE, _OUTPUT):
        (place / name).unlink(missing_ok=True)
    for name in _SMALL_FILES:
        if (step / name).is_file():
            text = (step / name).read_text(encoding="utf-8")
            write_text(place / name, text.replace(f"{step.parents[4]}/", ""))  # of another machine, perhaps
    if result is None:
        return False
    _compact(result).save(place)
    _pack(place / ARRAYS_FILE)
    if read_doubts(step / _OUTPUT):
        write_text(place / _OUTPUT, _told(step / _OUTPUT))
    return True


def _compact(result: Result) -> Result:
    """Return the same with rounded arrays."""
    bands, dos = result.bands, result.dos
    if bands is not None:
        bands = replace(bands, energies=np.round(bands.energies / _SPACING) * _SPACING, projections=None)
    if dos is not None:
        dos = replace(dos, total=_rounded(dos.total), values=_rounded(dos.values))
    return replace(result, bands=bands, dos=dos)


def _pack(path: Path) -> None:
    """Pack the arrays of a file more tightly."""
    with ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with atomic_writer(path) as stream, ZipFile(stream, "w", ZIP_LZMA) as archive:
        for name, content in members.items():
            archive.writestr(ZipInfo(name, _NO_DATE), content, ZIP_LZMA)


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return densities rounded to `_BITS` significant bits."""
    mantissa, exponent = np.frexp(values)
    rounded = np.ldexp(np.round(mantissa * 2.0**_BITS) / 2.0**_BITS, exponent)
    return np.asarray(np.where(np.abs(values) < _NOTHING, 0.0, rounded))


def _told(path: Path) -> str:
    """Return those lines of the last iteration from which the doubts of an output are read."""
    text = path.read_text(encoding="utf-8", errors="replace")
    last = text[max(0, text.rfind("iteration #")) :].splitlines()
    told = [line for line in last if "negative rho" in line or "not converged" in line]
    return "\n".join(["what a report tells of the last iteration #:", *told, ""])
