"""The output of projwfc.x: Löwdin charges and polarizations, spilling, and the list of atomic states."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.readers.opening import read_text
from heterodft.analysis.result import ORBITALS, SHELLS, SiteValues
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["AtomicState", "read_atomic_states", "read_lowdin", "read_spilling"]

_NUMBER = r"[-+]?\d*\.\d+"
_ATOM = re.compile(rf"^\s*Atom #\s*(\d+): total charge =\s*({_NUMBER}),(.*)$", re.MULTILINE)
_POLARIZATION = re.compile(rf"^\s*polarization =\s*({_NUMBER}),(.*)$", re.MULTILINE)
_SHELL = re.compile(rf"\b([spdf])\s*=\s*({_NUMBER}),")
_ORBITAL = re.compile(rf"\b([pdf][a-z0-9()-]+)\s*=\s*({_NUMBER}),")
_OF_SPIN = re.compile(rf"^\s*(?:Atom #\s*(\d+): total charge|spin (?:up|down))\s*=\s*{_NUMBER},(.*)$", re.MULTILINE)
_SPILLING = re.compile(rf"Spilling Parameter:\s*({_NUMBER})")
_STATE = re.compile(
    r"state #\s*(\d+): atom\s+(\d+) \(\s*(\S+?)\s*\), wfc\s+(\d+) "
    r"\(l=\s*(\d)(?: m=\s*(\d+))?(?: s_z=\s*([-\d.]+))?(?: j=\s*([\d.]+) m_j=\s*([-\d.]+))?\s*\)"
)
_SUM_OF_ORBITALS = 2e-3
"""Electrons by which rounded orbitals of both spins may miss their rounded shell."""
_SUM = 2.6e-4
"""Electrons by which rounded shells may miss their rounded sum."""


@dataclass(frozen=True)
class AtomicState:
    """One atomic wavefunction: site from 0, number of its shell on the site, l, m from 1, and spin or j if told."""

    site: int
    shell: int
    l: int  # noqa: E741
    m: int | None
    spin: float | None
    j: float | None


def read_lowdin(path: Path, *, polarized: bool, sites: int | None = None) -> SiteValues:
    """Read Löwdin charges (electrons) and polarizations (μB) from the output of projwfc.x, as a whole and by shell.

    Of a noncollinear run the polarization is that along z; with spin-orbit coupling there is none.

    Parameters
    ----------
    path
        Standard output of projwfc.x.
    polarized
        Whether the run was spin-polarized, so that polarizations must be there.
    sites
        Number of atoms; None takes those that are listed.

    Raises
    ------
    ReaderError
        If the file is missing or holds no complete table.
    """
    text = read_text(path)
    start = text.rfind("Lowdin Charges")
    part = text[max(start, 0) :]
    broken = ReaderError(f"{path} holds no complete table of Löwdin charges; run projwfc.x again")
    rows = [(int(number), float(charge), _shells(rest)) for number, charge, rest in _ATOM.findall(part)]
    charges = {number: charge for number, charge, _ in rows}
    if start < 0 or not charges or list(charges) != list(range(1, (sites or len(charges)) + 1)):
        raise broken
    moments = [(float(moment), _shells(rest)) for moment, rest in _POLARIZATION.findall(part)]
    if len(moments) not in ((len(charges),) if polarized else (0, len(charges))) or not _SPILLING.search(part):
        raise broken
    by_shell = np.zeros((len(charges), len(SHELLS)))
    for number, _, shells in rows:
        by_shell[number - 1] += shells
    if not np.allclose(by_shell.sum(axis=1), list(charges.values()), atol=_SUM):
        raise broken
    orbitals = _orbital_charges(part, by_shell)
    if not moments:
        return SiteValues("Löwdin", tuple(charges.values()), None, shell_charges=by_shell, orbital_charges=orbitals)
    return SiteValues(
        "Löwdin",
        tuple(charges.values()),
        tuple(moment for moment, _ in moments),
        shell_charges=by_shell,
        shell_moments=np.array([shells for _, shells in moments]),
        orbital_charges=orbitals,
    )


def _orbital_charges(part: str, by_shell: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return electrons by site, spin and orbital; None where they are not told, or do not add up to the shells."""
    found: dict[tuple[int, int], NDArray[np.float64]] = {}
    site = spin = -1
    for line in _OF_SPIN.finditer(part):
        if line[1] and int(line[1]) - 1 != site:
            site = int(line[1]) - 1
        spin = 0 if line[1] or "spin up" in line[0] else 1
        if len(_SHELL.findall(line[2])) > 1:
            continue  # all shells of the atom at once; those of each spin follow
        own = found.setdefault((site, spin), np.zeros(len(ORBITALS)))
        own[0] += sum(float(value) for shell, value in _SHELL.findall(line[2]) if shell == "s")
        for name, value in _ORBITAL.findall(line[2]):
            if name in ORBITALS:
                own[ORBITALS.index(name)] += float(value)
    spins = 1 + max((spin for _, spin in found), default=0)
    if set(found) != {(site, spin) for site in range(len(by_shell)) for spin in range(spins)}:
        return None
    charges = np.array([[found[site, spin] for spin in range(spins)] for site in range(len(by_shell))])
    places = [[i for i, name in enumerate(ORBITALS) if name[0] == shell] for shell in SHELLS]
    sums = np.stack([charges[..., own].sum(axis=(1, 2)) for own in places], axis=1)
    return charges if np.allclose(sums, by_shell, atol=_SUM_OF_ORBITALS) else None


def _shells(text: str) -> NDArray[np.float64]:
    values = np.zeros(len(SHELLS))
    for shell, value in _SHELL.findall(text):
        values[SHELLS.index(shell)] += float(value)
    return values


def read_spilling(path: Path) -> float | None:
    """Return the spilling parameter that projwfc.x printed, None when it printed none."""
    found = _SPILLING.search(read_text(path))
    return float(found[1]) if found else None


def read_atomic_states(path: Path) -> list[AtomicState]:
    """Read the list of atomic states that projwfc.x projects on, in its order.

    Raises
    ------
    ReaderError
        If the list is missing or has a gap.
    """
    found = _STATE.findall(read_text(path))
    if not found or [int(row[0]) for row in found] != list(range(1, len(found) + 1)):
        raise ReaderError(f"{path} holds no complete list of atomic states; run projwfc.x again")
    return [
        AtomicState(
            int(atom) - 1,
            int(shell),
            int(l),
            int(m) if m else None,
            float(spin) if spin else None,
            float(j) if j else None,
        )
        for _, atom, _, shell, l, m, spin, j, _ in found  # noqa: E741
    ]
