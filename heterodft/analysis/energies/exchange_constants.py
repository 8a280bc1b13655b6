"""Heisenberg exchange constants from the energies of configurations, and the ordering temperature they give.

    E = E0 - Σ J_ij e_i·e_j

with unit moments e, each pair once, images counted; J > 0 is ferromagnetic. So J holds the size of the moments:
J / (S_i S_j) is that of H = -Σ J S_i·S_j, with S half the moment in μB.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.energies.exchange_bonds import find_bonds, group_bonds
from heterodft.analysis.energies.exchange_configurations import gather
from heterodft.analysis.energies.exchange_constant import (
    MEV,
    ExchangeConstant,
    constants_of,
    mean_field_order,
    undetermined_sums,
)
from heterodft.analysis.energies.exchange_fit import fit_exchange
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from pandas import DataFrame

    from heterodft.analysis.energies.exchange_bonds import Bonds, Shell
    from heterodft.analysis.energies.exchange_configurations import Configuration
    from heterodft.analysis.energies.exchange_fit import ExchangeFit
    from heterodft.analysis.result import Result

__all__ = ["CONVENTION", "ExchangeConstant", "ExchangeConstants"]

CONVENTION = "E = E0 - Σ J e_i·e_j, each pair once, unit moments, J > 0 ferromagnetic"
OVERESTIMATE = "mean field overestimates: by 39 % of the Monte Carlo value for a simple cubic lattice"


@dataclass(frozen=True)
class ExchangeConstants:
    """What a set of configurations says of the exchange.

    Attributes
    ----------
    constants
        By length.
    configurations
        What went into the fit and what did not, and why.
    offset
        E0, eV a magnetic ion; None where nothing could be fitted.
    residual
        Root mean square of what the fit leaves, meV a magnetic ion; None where it is exact by construction.
    left_out
        Largest error in meV a magnetic ion when each configuration is predicted from all others; None where they do
        not determine it.
    undetermined
        What the configurations do not determine, in words.
    ordering_temperature
        K, mean field, of orders that fit the largest cell; None where it cannot be told.
    ordering
        Signs of the order that sets in, by magnetic site; empty where several do.
    notes
        What must be known beside the numbers.
    """

    constants: tuple[ExchangeConstant, ...]
    configurations: tuple[Configuration, ...]
    offset: float | None
    residual: float | None
    left_out: float | None
    undetermined: tuple[str, ...]
    ordering_temperature: float | None
    ordering: tuple[int, ...]
    notes: tuple[str, ...]

    @classmethod
    def from_results(
        cls,
        results: Sequence[Result],
        *,
        names: Sequence[str] | None = None,
        reach: float | None = None,
        by_layer: bool = False,
        spins: Mapping[str, float] | None = None,
        reached: bool = False,
        trust: bool = False,
    ) -> ExchangeConstants:
        """Fit the constants.

        Parameters
        ----------
        results
            Configurations of one cell, or of several cells of one crystal.
        names
            What to call them; by default the order asked for.
        reach
            Longest bond in Å; by default 1.45 of the shortest.
        by_layer
            A constant for each pair of layers, not of elements.
        spins
            S by element, for J / S²; by default half the mean moment.
        reached
            Take configurations that are not in the state asked for, with the signs they have.
        trust
            Compare where the files do not tell some setting; the notes then say which.

        Raises
        ------
        ReaderError
            If no configuration can be used, or no two magnetic ions are within reach.
        """
        configurations, usable = gather(results, names=names, reached=reached, trust=trust)
        if not usable:
            reasons = "; ".join(dict.fromkeys(f"{one.name}: {one.reason}" for one in configurations))
            raise ReaderError(f"no configuration can be used ({reasons}); exchange constants need several")
        largest = max(usable, key=lambda i: len(configurations[i].sites))
        order = [largest, *(i for i in usable if i != largest)]
        cells: dict[int, int] = {}
        found: list[Bonds] = []
        for i in order:  # a cell's bonds are found once, in the first configuration of it
            cell = configurations[i].cell
            if cell not in cells:
                cells[cell] = len(found)
                # of smaller cells as far as in the largest, so that the shells are the same
                limit = reach if reach is not None or not found else float(found[0].lengths.max()) + 0.05
                found.append(
                    find_bonds(results[i].structure, configurations[i].sites, reach=limit, by_layer=by_layer)
                )
        shells = group_bonds(found)
        fit = _fit([configurations[i] for i in usable], shells, found, cells)
        spin = _spins(results, configurations, usable, spins)
        constants = constants_of(
            shells, found[0], fit, [results[largest].structure[i].specie.symbol for i in found[0].sites], spin
        )
        temperature, ordering = mean_field_order(constants, shells, found[0])
        counted = _with_residuals(configurations, usable, fit)
        return cls(
            constants=constants,
            configurations=counted,
            offset=fit.offset,
            residual=None if fit.errors is None else MEV * float(np.sqrt(np.mean(fit.residuals**2))),
            left_out=_largest(fit.left_out),
            undetermined=undetermined_sums(fit, shells),
            ordering_temperature=temperature,
            ordering=ordering,
            notes=_notes(fit, temperature, usable, spins),
        )

    @classmethod
    def read(
        cls, folders: Sequence[Path], *, reach: float | None = None, by_layer: bool = False, trust: bool = False
    ) -> ExchangeConstants:
        """Fit the constants from folders, see `from_results`.

        Raises
        ------
        ReaderError
            If a folder cannot be read, or no configuration can be used.
        """
        from heterodft.analysis.readers import read_folder

        results = [read_folder(folder) for folder in folders]
        names = [
            str(r.request.get("about", {}).get("order") or f.name) for r, f in zip(results, folders, strict=True)
        ]
        return cls.from_results(results, names=names, reach=reach, by_layer=by_layer, trust=trust)

    def to_frame(self) -> DataFrame:
        """Return a table, one row a constant."""
        from pandas import DataFrame

        return DataFrame(
            [
                {
                    "constant": one.name,
                    "bond": one.kind,
                    "length (Å)": one.length,
                    "neighbours": one.neighbours,
                    "J (meV)": one.value,
                    "standard error (meV)": one.error,
                    "J/S² (meV)": one.per_spin_squared,
                    "no number because": one.reason,
                }
                for one in self.constants
            ]
        )

    def configurations_frame(self) -> DataFrame:
        """Return a table, one row a configuration."""
        from pandas import DataFrame

        return DataFrame(
            [
                {
                    "configuration": one.name,
                    "energy (eV per magnetic ion)": one.energy,
                    "fit minus energy (meV per magnetic ion)": one.residual,
                    "left out because": one.reason,
                    "notes": "; ".join(one.notes),
                }
                for one in self.configurations
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        data = asdict(self)
        for key in ("undetermined", "ordering", "notes"):
            data[key] = list(data[key])
        data["configurations"] = [one.to_dict() for one in self.configurations]
        return data | {"convention": CONVENTION}

    def plot(self) -> Figure:
        """Draw the constants against the length of the bond."""
        from heterodft.analysis.energies.exchange_figure import draw_exchange_constants

        return draw_exchange_constants(self)


def _fit(
    configurations: Sequence[Configuration], shells: Sequence[Shell], found: Sequence[Bonds], cells: Mapping[int, int]
) -> ExchangeFit:
    """Fit energies a magnetic ion."""
    sums = np.empty((len(configurations), len(shells)))
    for row, one in enumerate(configurations):
        cell = cells[one.cell]
        signs = np.array(one.signs, dtype=np.float64)
        for column, shell in enumerate(shells):
            sums[row, column] = found[cell].count(signs, shell.members[cell]) / len(signs)
    return fit_exchange(sums, np.array([one.energy for one in configurations], dtype=np.float64))


def _spins(
    results: Sequence[Result],
    configurations: Sequence[Configuration],
    usable: Sequence[int],
    given: Mapping[str, float] | None,
) -> dict[str, float]:
    """Return S by element: as given, else half the mean moment."""
    sizes: dict[str, list[float]] = {}
    for i in usable:
        for site, moment in zip(configurations[i].sites, configurations[i].moments, strict=True):
            sizes.setdefault(results[i].structure[site].specie.symbol, []).append(abs(moment) / 2)
    return {element: float(np.mean(values)) for element, values in sizes.items()} | dict(given or {})


def _largest(errors: NDArray[np.float64]) -> float | None:
    known = errors[np.isfinite(errors)]
    return MEV * float(np.abs(known).max()) if len(known) else None


def _with_residuals(
    configurations: Sequence[Configuration], usable: Sequence[int], fit: ExchangeFit
) -> tuple[Configuration, ...]:
    residuals = dict(zip(usable, fit.residuals.tolist(), strict=True))
    return tuple(
        one.with_residual(MEV * residuals[i]) if i in residuals else one for i, one in enumerate(configurations)
    )


def _notes(
    fit: ExchangeFit, temperature: float | None, usable: Sequence[int], spins: Mapping[str, float] | None
) -> tuple[str, ...]:
    notes = [CONVENTION]
    if spins is None:
        notes.append("S is half the mean moment of the element in its sphere")
    if fit.errors is None:
        notes.append(f"{len(usable)} energies leave no check: no errors can be told")
    if temperature is None:
        why = "nothing orders in this cell" if fit.determined.all() else "not all constants are determined"
        notes.append(f"no ordering temperature: {why}")
    else:
        notes.append(f"ordering temperature: k_B T = λ/3 of classical moments, orders of this cell; {OVERESTIMATE}")
    return tuple(notes)
