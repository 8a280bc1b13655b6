"""Occupations of the shells with a Hubbard U: electrons, moment and eigenvalues of each site.

The eigenvalues of the occupation matrix of a site (see `HubbardOccupations`) do not change when the axes are turned:
0 and 1 are empty and filled orbitals. They depend on the projectors, which differ between the codes: compare numbers
of one code, and of pw.x of one kind of projectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from heterodft.analysis.result import ORBITALS
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from heterodft.analysis.layers import Layering
    from heterodft.analysis.result import HubbardOccupations, Result

__all__ = ["OccupiedShell", "SiteOccupations", "orbitals_of"]


@dataclass(frozen=True)
class OccupiedShell:
    """The shell of one site.

    Attributes
    ----------
    site, element
        Index in the structure, from 0, and element.
    group
        Label of its layer or plane; empty where the layers cannot be told.
    shell
        ``3d``; ``d`` where the files do not tell its number.
    electrons
        Of both spins.
    moment
        μB; of a noncollinear run its z component.
    size
        μB: length of the moment.
    eigenvalues
        Lowest first, shape (spin, m); (1, 2m) of a noncollinear run. Without spin those of one spin.
    orbitals
        Names of the real orbitals.
    by_orbital
        Occupations of these, the diagonal of the matrix in the axes of the cell, shape (spin, m).
    """

    site: int
    element: str
    group: str
    shell: str
    electrons: float
    moment: float
    size: float
    eigenvalues: NDArray[np.float64]
    orbitals: tuple[str, ...]
    by_orbital: NDArray[np.float64]

    @property
    def spins(self) -> tuple[str, ...]:
        """Of the rows of `eigenvalues`: up and down, or one without a name."""
        return ("up", "down") if len(self.eigenvalues) == 2 else ("",)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "site": self.site,
            "element": self.element,
            "layer": self.group,
            "shell": self.shell,
            "electrons": self.electrons,
            "moment": self.moment,
            "size": self.size,
            "eigenvalues": self.eigenvalues.tolist(),
            "orbitals": list(self.orbitals),
            "by_orbital": self.by_orbital.tolist(),
        }


@dataclass(frozen=True)
class SiteOccupations:
    """What the shells with a Hubbard U hold, site by site.

    Attributes
    ----------
    shells
        In the order of the structure.
    by
        ``layer`` or ``plane``: what the sites are labelled with.
    spin
        Whether the run was spin-polarized or noncollinear.
    notes
        What is doubtful.
    """

    shells: tuple[OccupiedShell, ...]
    by: str
    spin: bool
    notes: tuple[str, ...] = ()

    @classmethod
    def from_result(cls, result: Result, *, layering: Layering | None = None, by: str = "layer") -> Self:
        """Tell the occupations of a result.

        Parameters
        ----------
        result
            Of a run with U.
        layering
            Of `find_layering`, to label the sites; without it they are labelled where the layers can be told.
        by
            ``layer`` or ``plane``.

        Raises
        ------
        ReaderError
            If the result holds no occupations.
        """
        if not result.occupations:
            raise ReaderError(
                "the result holds no Hubbard occupations: it has no U, or its files tell none (VASP prints them to "
                "OUTCAR with LDAUPRINT = 1)"
            )
        labels = _labels(result, layering, by)
        shells = tuple(_shell(one, result, labels.get(one.site, "")) for one in result.occupations)
        return cls(shells, by, any(len(one.matrices) > 1 for one in result.occupations), result.notes)

    @classmethod
    def read(cls, folder: Path | str, *, layering: Layering | None = None, by: str = "layer") -> Self:
        """Read a finished folder; see `from_result`."""
        from heterodft.analysis.readers import read_folder

        return cls.from_result(read_folder(folder), layering=layering, by=by)

    def summary(self) -> str:
        """Return one line: of each element and shell the electrons and the size of the moment, from least to most."""
        kinds: dict[str, list[OccupiedShell]] = {}
        for shell in self.shells:
            kinds.setdefault(f"{shell.element} {shell.shell}", []).append(shell)
        parts = []
        for kind, held in kinds.items():
            moments = f", moment {_range([one.size for one in held])} μB" if self.spin else ""
            sites = f" on {len(held)} sites" if len(held) > 1 else ""
            parts.append(f"{kind} {_range([one.electrons for one in held])} electrons{moments}{sites}")
        return "; ".join(parts)

    def to_frame(self) -> pd.DataFrame:
        """Return a table, one row a site; eigenvalues lowest first. `summary` is in its ``attrs``."""
        import pandas as pd

        rows = [_row(shell, self.by, self.spin) for shell in self.shells]
        frame = pd.DataFrame(rows)
        frame.attrs = {"summary": self.summary()}
        return frame

    def plot(self) -> Figure:
        """Draw the eigenvalues of each site, up and down side by side."""
        from heterodft.analysis.plots import draw_occupations

        return draw_occupations(self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data, electrons and μB."""
        return {
            "by": self.by,
            "spin": self.spin,
            "sites": [shell.to_dict() for shell in self.shells],
            "summary": self.summary(),
            "notes": list(self.notes),
        }


def orbitals_of(shell: str) -> tuple[str, ...]:
    """Return the names of the orbitals of a shell in the order of `ORBITALS`.

    Examples
    --------
    >>> orbitals_of("3d")
    ('dz2', 'dxz', 'dyz', 'dx2-y2', 'dxy')
    """
    return tuple(name for name in ORBITALS if name[0] == shell[-1])


def _shell(one: HubbardOccupations, result: Result, label: str) -> OccupiedShell:
    diagonals = np.diagonal(one.matrices, axis1=1, axis2=2).real
    return OccupiedShell(
        site=one.site,
        element=result.structure[one.site].specie.symbol,
        group=label,
        shell=one.shell,
        electrons=one.electrons,
        moment=one.moment,
        size=one.size,
        eigenvalues=one.eigenvalues,
        orbitals=orbitals_of(one.shell),
        by_orbital=np.asarray(diagonals[[0, -1]] if len(diagonals) > 1 else diagonals, dtype=np.float64),
    )


def _labels(result: Result, layering: Layering | None, by: str) -> dict[int, str]:
    from heterodft.analysis.layers import find_layering

    if layering is None:
        try:
            layering = find_layering(result.structure)
        except ReaderError:
            return {}
    return {site: group.label for group in layering.groups(by) for site in group.sites}


def _row(shell: OccupiedShell, by: str, spin: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"site": shell.site, "element": shell.element, by: shell.group, "shell": shell.shell}
    row["electrons"] = shell.electrons
    if spin:
        row["moment (μB)"] = shell.moment
    for name, values in zip(shell.spins, shell.eigenvalues, strict=True):
        row |= {f"eigenvalue {i}{f' {name}' if name else ''}": float(v) for i, v in enumerate(values, 1)}
    return row


def _range(values: list[float]) -> str:
    """Return a number, or the least and the most, to two decimals."""
    least, most = f"{min(values):.2f}", f"{max(values):.2f}"
    return least if least == most else f"{least} to {most}"
