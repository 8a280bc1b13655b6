"""What hp.x leaves: ``NAME.Hubbard_parameters.dat`` with U and the response matrices, and its standard output.

Of 6.5 to 7.1 a row of the table of U ends in the new label and U; from 7.2 on the shell stands between them. The
matrices are there from ``iverbosity = 2`` on. From 7.1 on ``HUBBARD.dat`` repeats U as a card for pw.x.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.readers.espresso.output import parse_seconds
from heterodft.analysis.readers.opening import read_text
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["NOT_CONVERGED", "PARAMETERS_FILE", "HpOutput", "HpTable", "read_hp_output", "read_hp_parameters"]

PARAMETERS_FILE = ".Hubbard_parameters.dat"
"""Behind the prefix of the run."""
NOT_CONVERGED = r"Convergence has not been reached after\s+\d+\s+iterations"
"""What hp.x prints, as a pattern."""
_ROW = re.compile(
    r"^\s+(\d+)\s+(\d+)\s+(\S+)\s+(-?\d+)\s+(\d+)\s+(\S+)\s+(?:(\d[spdf])\s+)?(-?\d+\.\d+|\*+|NaN)\s*$", re.M
)
_MATRIX = re.compile(r"^\s+(chi0|chi) matrix :\s*\n(.*?)(?=^\s+\S+ matrix :|\Z)", re.M | re.S)
_VERSION = re.compile(r"Program HP v\.?(\S+)")
_MESH = re.compile(r"The grid of q-points \(\s*(\d+),\s*(\d+),\s*(\d+)\)\s+\(\s*(\d+) q-points")
_PERTURBED = re.compile(r"PERTURBED ATOM #\s+(\d+)")
_ITERATION = re.compile(r"atom #\s*\d+\s+q point #\s*\d+\s+iter #")
_INPUT_U = re.compile(r"^\s+U \(\s*(\d+)\)\s+=\s+(\S+)", re.M)
_TIMES = re.compile(r"^\s+HP\s+:\s*(.*?)\s*CPU\s+(.*?)\s*WALL", re.M)
_STOPS = (
    (r"All Hubbard atoms must be listed first", "the sites with U are not the first ones of its input"),
    (
        r"Fermi energy shift is (?:zero or )?too big",
        "no states at the Fermi level: with a gap it takes fixed occupations only; if the cell is a metal, use a "
        "wider smearing_width or a denser kspacing",
    ),
    (
        NOT_CONVERGED,
        "the response did not converge; lower mixing or loosen response_tolerance of the response step",
    ),
    (
        r"This q-mesh breaks symmetry",
        "the q-mesh has not the symmetry of the crystal; give another mesh, or espresso: {nosym: true, noinv: true}",
    ),
    (r"Maximum CPU time exceeded", "its time was up; it has no checkpoint: give a longer walltime or more cores"),
)


@dataclass(frozen=True)
class HpOutput:
    """The standard output of hp.x.

    Attributes
    ----------
    version
        ``6.7``.
    finished
        Whether U was computed; "JOB DONE." is printed also where hp.x stopped for want of something.
    stopped
        Why it stopped by itself, in words, with what to do; None otherwise.
    qpoints, inequivalent_qpoints
        Mesh of wave vectors, and how many of it symmetry leaves; None and 0 where it did not get that far.
    perturbed
        Number of sites that were perturbed, one at a time.
    iterations
        Of the response, all sites and wave vectors together.
    started_from
        U in eV by number of the species.
    cpu_seconds, wall_seconds
        None when the end was not reached.
    """

    version: str
    finished: bool
    stopped: str | None
    qpoints: tuple[int, int, int] | None
    inequivalent_qpoints: int
    perturbed: int
    iterations: int
    started_from: dict[int, float]
    cpu_seconds: float | None
    wall_seconds: float | None


def read_hp_output(path: Path) -> HpOutput:
    """Read the standard output of hp.x, as far as it goes.

    Raises
    ------
    ReaderError
        If the file cannot be opened.
    """
    text = read_text(path)
    version, mesh, times = _VERSION.search(text), _MESH.search(text), _TIMES.findall(text)
    done = "JOB DONE." in text and "Post-processing calculation of Hubbard parameters" in text
    stopped = next((words for pattern, words in _STOPS if re.search(pattern, text)), None)
    return HpOutput(
        version="" if version is None else re.sub(r"[A-Za-z].*", "", version[1]),
        finished=done and stopped is None,
        stopped=stopped,
        qpoints=None if mesh is None else (int(mesh[1]), int(mesh[2]), int(mesh[3])),
        inequivalent_qpoints=0 if mesh is None else int(mesh[4]),
        perturbed=len(set(_PERTURBED.findall(text))),
        iterations=len(_ITERATION.findall(text)),
        started_from={int(kind): float(value.replace("D", "E")) for kind, value in _INPUT_U.findall(text)},
        cpu_seconds=parse_seconds(times[-1][0]) if times else None,
        wall_seconds=parse_seconds(times[-1][1]) if times else None,
    )


@dataclass(frozen=True)
class HpTable:
    """``NAME.Hubbard_parameters.dat``: a row a site with U, in the order of the input of pw.x.

    Attributes
    ----------
    sites
        From 0.
    kinds
        Number of the species, from 1.
    labels, shells
        ``Cr1``; ``3d`` from 7.2 on, otherwise empty.
    groups
        Number of the new type: sites of one were taken for equal.
    spins
        1, -1 or 0, the sign of the moment; 1 without spin.
    values
        eV.
    chi0, chi
        1/eV, shape (sites of the supercell, the same); None where they are not there.
    doubts
        What the file warns of.
    """

    sites: tuple[int, ...]
    kinds: tuple[int, ...]
    labels: tuple[str, ...]
    shells: tuple[str, ...]
    groups: tuple[int, ...]
    spins: tuple[int, ...]
    values: tuple[float, ...]
    chi0: NDArray[np.float64] | None = None
    chi: NDArray[np.float64] | None = None
    doubts: tuple[str, ...] = ()


def read_hp_parameters(path: Path) -> HpTable:
    """Read the table of U and the response matrices.

    Raises
    ------
    ReaderError
        If the file cannot be opened, holds no U, or U did not fit its field.
    """
    text = read_text(path)
    rows = [row.groups() for row in _ROW.finditer(text.partition("matrix :")[0])]
    if not rows:
        raise ReaderError(f"{path} holds no Hubbard U; run hp.x again")
    if not all(re.fullmatch(r"-?[\d.]+", row[7]) for row in rows):
        raise ReaderError(f"{path} holds a U that is no number ({rows[0][7]}); its responses are unphysical")
    matrices = {name: _matrix(body, path) for name, body in _MATRIX.findall(text)}
    doubts: tuple[str, ...] = ()
    if "equivalent (by type) Hubbard atoms as if they were non-equivalent" in text:
        doubts = ("hp.x found different occupations on sites of one species, and perturbed each of them",)
    site, kind, label, spin, group, _, shell, value = zip(*rows, strict=True)
    return HpTable(
        sites=tuple(int(s) - 1 for s in site),
        kinds=tuple(map(int, kind)),
        labels=label,
        shells=tuple(s or "" for s in shell),
        groups=tuple(map(int, group)),
        spins=tuple(map(int, spin)),
        values=tuple(map(float, value)),
        chi0=matrices.get("chi0"),
        chi=matrices.get("chi"),
        doubts=doubts,
    )


def _matrix(body: str, path: Path) -> NDArray[np.float64] | None:
    """Read a square matrix whose rows are broken after eight numbers and parted by empty lines."""
    try:
        numbers = np.array([float(word) for word in body.split()])
    except ValueError as error:
        raise ReaderError(f"{path}: a response matrix holds no numbers ({error}); run hp.x again") from error
    size = round(len(numbers) ** 0.5)
    if not size or size**2 != len(numbers):
        raise ReaderError(f"{path}: a response matrix is not square; the file was cut off, run hp.x again")
    return numbers.reshape(size, size)
