"""``atomic_proj.xml`` of projwfc.x: the amplitude ⟨φ|ψ⟩ of every state on every atomic wavefunction.

The file has no list of its wavefunctions; the standard output of projwfc.x has. Its blocks of numbers are decoded one
by one and dropped, so that memory holds only the projections.
"""

from __future__ import annotations

import io
import warnings
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from lxml import etree

from heterodft.analysis.readers.espresso.lowdin import read_atomic_states
from heterodft.analysis.readers.opening import SUFFIXES, find_file, read_bytes
from heterodft.analysis.result import ORBITALS, SHELLS
from heterodft.errors import ReaderError
from heterodft.units import RYDBERG

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from heterodft.analysis.readers.espresso.lowdin import AtomicState
    from heterodft.analysis.result import Bands

__all__ = ["find_atomic_proj", "read_band_projections"]

_FIRST_ORBITAL = (0, 1, 4, 9)
_NAME = "atomic_proj.xml"
_SAME = 2e-3
"""eV by which energies may differ from those of the bands of the same run."""


def find_atomic_proj(folder: Path, schema: Path | None = None) -> Path:
    """Return the file beside the XML file of pw.x or in the folder.

    Raises
    ------
    ReaderError
        If there is none.
    """
    for place in (*([] if schema is None else [schema.parent]), folder, *sorted(folder.glob("*.save"))):
        found = find_file(place, _NAME)
        if found is not None:
            return found
    raise ReaderError(f"{folder} holds no {_NAME}; run projwfc.x there")


def read_band_projections(path: Path, output: Path | None, bands: Bands, *, sites: int) -> Bands:
    """Return the bands with |⟨φ|ψ⟩|² on each site and orbital, shells of one kind on an atom added.

    Parameters
    ----------
    path
        ``atomic_proj.xml``, plain or compressed.
    output
        Standard output of the same projwfc.x, for its list of atomic states.
    bands
        Of the pw.x run that projwfc.x read.
    sites
        Number of atoms.

    Raises
    ------
    ReaderError
        If the file is cut off, of an older format or of another run, or there is no list of states.
    """
    if output is None:
        raise ReaderError(f"{path} has no list of its atomic states; put the standard output of projwfc.x beside it")
    states = read_atomic_states(output)
    orbitals = SHELLS if any(state.j is not None for state in states) else ORBITALS
    columns = [_column(state, orbitals) for state in states]
    if max(state.site for state in states) >= sites:
        raise ReaderError(f"{output} tells states of more than {sites} atoms; files of another run?")
    values = np.zeros((*bands.energies.shape, sites, len(orbitals)))
    spins, points = bands.energies.shape[:2]
    seen = -1
    try:
        with closing(_blocks(path, len(states))) as blocks:
            for block, (energies, amplitudes) in enumerate(blocks):
                spin, k = divmod(block, points)
                seen = block
                if spin >= spins or not _agree(energies, bands.energies[spin, k]):
                    raise ReaderError(f"{path} has other bands than the XML file of pw.x; run projwfc.x again")
                for state, column, weights in zip(states, columns, amplitudes, strict=True):
                    values[spin, k, :, state.site, column] += weights
    except ReaderError:
        raise
    except (OSError, etree.XMLSyntaxError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise ReaderError(f"cannot read {path}: {error}; run projwfc.x again") from error
    if seen + 1 != spins * points:
        raise ReaderError(f"{path} holds {seen + 1} of {spins * points} k-points and spins; run projwfc.x again")
    return replace(bands, projections=values, orbitals=orbitals)


def _agree(energies: NDArray[np.float64], expected: NDArray[np.float64]) -> bool:
    return len(energies) == len(expected) and bool(np.abs(energies - expected).max() < _SAME)


def _column(state: AtomicState, orbitals: tuple[str, ...]) -> int:
    if orbitals is SHELLS or state.m is None:
        return state.l
    return _FIRST_ORBITAL[state.l] + state.m - 1


def _blocks(path: Path, count: int) -> Any:
    """Yield of each k-point and spin the energies (eV) and the squared amplitudes, shape (state, band)."""
    packed = path.suffix in SUFFIXES[1:]
    with io.BytesIO(read_bytes(path)) if packed else path.open("rb") as stream:
        yield from _blocks_of(stream, path, count)


def _blocks_of(stream: Any, path: Path, count: int) -> Any:
    energies: NDArray[np.float64] | None = None
    rows: list[NDArray[np.float64]] = []
    for _, node in etree.iterparse(stream, huge_tree=True, tag=("HEADER", "E", "ATOMIC_WFC", "PROJS", "ROOT")):
        if node.tag == "HEADER":
            _check_header(node, path, count)
        elif node.tag == "E":
            energies = _numbers(node.text) * RYDBERG
        elif node.tag == "ATOMIC_WFC":
            parts = _numbers(node.text).reshape(-1, 2)
            rows.append((parts**2).sum(axis=1))
            if int(node.get("index")) != len(rows) or energies is None or len(rows[-1]) != len(energies):
                raise ValueError(f"projections on state {node.get('index')} are incomplete")
        else:
            if energies is None or len(rows) != count:
                raise ValueError(f"projections on {len(rows)} of {count} states")
            yield energies, rows
            energies, rows = None, []
        node.clear()


def _check_header(node: Any, path: Path, count: int) -> None:
    told = node.get("NUMBER_OF_ATOMIC_WFC")
    if told is None:
        raise ReaderError(f"{path} is of projwfc.x before 6.4, which cannot be read; run a newer one")
    if int(told) != count:
        raise ReaderError(f"{path} has {told} states, the output of projwfc.x {count}; files of two runs?")


def _numbers(text: str) -> NDArray[np.float64]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # of numpy, at what is no number
        try:
            found: NDArray[np.float64] = np.fromstring(text, sep=" ")
        except (DeprecationWarning, ValueError):
            raise ValueError("something that is no number among the projections") from None
    if not np.isfinite(found).all():
        raise ValueError("a number among the projections is not finite")
    return found
