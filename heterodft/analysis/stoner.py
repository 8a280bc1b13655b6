"""Stoner criterion by atom: I · N(EF) > 1 makes the non-magnetic metal unstable against ferromagnetism.

N(EF) is the density of states at the Fermi level of one atom and one spin, from a run without magnetization. I
belongs to that convention: the energy gained is I·m²/4 with m in electrons, and I is near 0.9 eV for the 3d metals.

Where none is given, I is that of the elemental metal: the exchange integrals of Janak, Phys. Rev. B 16, 255 (1977),
in the local spin density approximation, which are for N of both spins and doubled here. How sure they are: they
were written down from memory, with the products I·N that textbooks reprint beside them (Fe 1.43, Ni 2.04, Pd 0.78,
Mn 0.63, Cr 0.27, Cu 0.11), which they give back; of Co only Janak's own 0.97; elements without such a product were
left out. An independent estimate with pw.x (LSDA, a small fixed moment, splitting of the states at the Fermi level
over the moment) gave Cr 0.77, Mn 0.93, Fe 1.15, Ni 1.16, Pd 0.78 eV, up to a quarter more than the table, and so
confirms the factor of two but not the second digit; in PBE it gave more still (Fe 1.7, Ni 1.4). In an oxide I
differs: give your own to rely on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.dos_arrays import charge_channels, projected_dos
from heterodft.analysis.integrals import rule_of
from heterodft.analysis.layers import find_layering
from heterodft.analysis.layers.site_sums import group_data, plain_numbers
from heterodft.analysis.selection import groups_of, select_sites
from heterodft.errors import ReaderError
from heterodft.units import RYDBERG

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from pandas import DataFrame

    from heterodft.analysis.layers import Layering, SiteGroup
    from heterodft.analysis.result import ProjectedDos, Result

__all__ = ["STONER_PARAMETERS", "StonerProduct"]

_JANAK = {"Cr": 0.028, "Mn": 0.030, "Fe": 0.034, "Co": 0.036, "Ni": 0.037, "Cu": 0.027, "Pd": 0.025}
"""Ry, with N(EF) of both spins: Janak, Phys. Rev. B 16, 255 (1977)."""
STONER_PARAMETERS = {element: 2 * value * RYDBERG for element, value in _JANAK.items()}
"""eV, with N(EF) of one spin, of the elemental metals."""
_MOMENT = 0.02
"""μB above which a site counts as magnetic."""


@dataclass(frozen=True)
class StonerProduct:
    """I · N(EF) of atoms.

    Attributes
    ----------
    sites, elements, layers
        Index, symbol, and label of the layer or plane of each atom.
    groups
        Those layers or planes that hold such atoms, from the bottom up.
    density
        N(EF) of one atom and one spin, 1/eV, shape (site,).
    parameter
        I in eV, shape (site,).
    width
        eV: standard deviation of the Gaussian with which N was averaged around the Fermi level.
    notes
        Where I is from, and what a reader must know.
    """

    sites: tuple[int, ...]
    elements: tuple[str, ...]
    layers: tuple[str, ...]
    groups: tuple[SiteGroup, ...]
    density: NDArray[np.float64]
    parameter: NDArray[np.float64]
    width: float
    notes: tuple[str, ...] = ()

    @classmethod
    def from_result(
        cls,
        result: Result,
        *,
        elements: Iterable[str] | None = None,
        parameters: Mapping[str, float] | None = None,
        by: str = "layer",
        layering: Layering | None = None,
        width: float = 0.05,
    ) -> StonerProduct:
        """Multiply the density of states at the Fermi level with the Stoner parameter of each atom.

        Parameters
        ----------
        result
            Of a run without magnetization, with a projected density of states.
        elements
            By default those with a parameter.
        parameters
            I in eV by element, for N(EF) of one spin; they win over `STONER_PARAMETERS`, which are of the elemental
            metals and only a first guess in an oxide.
        by
            ``layer`` or ``plane``.
        layering
            By default that of `find_layering`.
        width
            eV; N is averaged with a Gaussian of this standard deviation, and at least the step of the grid.

        Raises
        ------
        ReaderError
            If the run is magnetic, has no projections, or an element has no parameter.
        """
        dos = projected_dos(result)
        _refuse_moments(result)
        table = {**STONER_PARAMETERS, **(parameters or {})}
        symbols = [site.specie.symbol for site in result.structure]
        sites = _sites_with_parameter(result, elements, table)
        density, width_used, notes = _density_at(dos, result, width)
        groups = groups_of(layering or find_layering(result.structure), by)
        of_site = {site: group for group in groups for site in group.sites}
        own = sorted({symbols[i] for i in sites} - set(parameters or {}))
        if own:
            notes.append(f"I of {', '.join(own)} is that of the elemental metal (Janak 1977)")
        return cls(
            tuple(sites),
            tuple(symbols[i] for i in sites),
            tuple(of_site[i].label for i in sites),
            tuple(group for group in groups if set(group.sites) & set(sites)),
            density[sites],
            np.array([table[symbols[i]] for i in sites]),
            width_used,
            tuple(notes),
        )

    @classmethod
    def read(
        cls,
        folder: Path,
        *,
        elements: Iterable[str] | None = None,
        parameters: Mapping[str, float] | None = None,
        by: str = "layer",
        layering: Layering | None = None,
        width: float = 0.05,
    ) -> StonerProduct:
        """Read a finished folder; see `from_result`."""
        from heterodft.analysis.readers import read_folder

        return cls.from_result(
            read_folder(folder), elements=elements, parameters=parameters, by=by, layering=layering, width=width
        )

    @property
    def product(self) -> NDArray[np.float64]:
        """I · N(EF), shape (site,)."""
        return self.parameter * self.density

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the series that are drawn: the elements."""
        return tuple(dict.fromkeys(self.elements))

    @property
    def values(self) -> NDArray[np.float64]:
        """Mean product of each element in each group, shape (group, column); not-a-number where there is none."""
        product = self.product
        means = [
            [
                product[
                    [
                        layer == group.label and own == element
                        for layer, own in zip(self.layers, self.elements, strict=True)
                    ]
                ]
                for element in self.columns
            ]
            for group in self.groups
        ]
        return np.array([[part.mean() if len(part) else np.nan for part in row] for row in means])

    @property
    def quantity(self) -> str:
        """What is drawn."""
        return "Stoner product I·N(EF)"

    @property
    def unit(self) -> str:
        """Of what is drawn: none."""
        return ""

    def to_frame(self) -> DataFrame:
        """Return one row an atom."""
        from pandas import DataFrame

        return DataFrame(
            {
                "site": self.sites,
                "element": self.elements,
                "layer": self.layers,
                "N(EF) of one spin (1/eV)": self.density,
                "I (eV)": self.parameter,
                "I·N(EF)": self.product,
                "unstable": self.product > 1,
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "sites": list(self.sites),
            "elements": list(self.elements),
            "layers": list(self.layers),
            "groups": group_data(self.groups),
            "density": plain_numbers(self.density),
            "parameter": self.parameter.tolist(),
            "product": plain_numbers(self.product),
            "width": self.width,
            "notes": list(self.notes),
        }

    def plot(self) -> Figure:
        """Draw the products along the layers."""
        from heterodft.analysis.plots import draw_profile

        return draw_profile(self)


def _refuse_moments(result: Result) -> None:
    """Raise if the run has moments: the criterion asks for the density of states without them."""
    moments = [abs(m) for values in result.sites.values() for m in values.moments or ()]
    vectors = [float(np.linalg.norm(v)) for s in result.sites.values() if s.vectors is not None for v in s.vectors]
    largest = max([*moments, *vectors, abs(result.total_moment or 0.0)], default=0.0)
    dos = projected_dos(result)
    if dos.values.shape[2] == 2:
        spins = dos.values.sum(axis=1)
        apart = np.abs(spins[:, 0] - spins[:, 1]).sum() / max(float(spins.sum()), 1e-12)
        largest = max(largest, 2 * _MOMENT if apart > _MOMENT else 0.0)
    if largest > _MOMENT:
        raise ReaderError(
            "the run is spin-polarized with moments, but the Stoner criterion needs the density of states without "
            "them; run the order NM"
        )


def _sites_with_parameter(result: Result, elements: Iterable[str] | None, table: Mapping[str, float]) -> list[int]:
    """Return the sites of the elements asked for, by default of those with a parameter."""
    symbols = [site.specie.symbol for site in result.structure]
    asked = [one for one in dict.fromkeys(symbols) if one in table] if elements is None else list(elements)
    sites = select_sites(result.structure, elements=asked) if asked else []
    unknown = sorted({symbols[i] for i in sites} - set(table)) if sites else sorted(set(symbols))
    if unknown:
        raise ReaderError(
            f"no Stoner parameter is known for {', '.join(unknown)}; give it in eV for N(EF) of one spin: "
            f"analyze --stoner {unknown[0]}=…, in Python parameters={{'{unknown[0]}': …}}"
        )
    return sites


def _density_at(dos: ProjectedDos, result: Result, width: float) -> tuple[NDArray[np.float64], float, list[str]]:
    """Return N(EF) of each site and one spin, 1/eV, the width of its mean, and what to tell of it."""
    step = float(np.diff(dos.energies).mean())
    width_used = max(width, step)
    level = result.fermi_level
    if not dos.energies[0] <= level <= dos.energies[-1]:
        raise ReaderError(
            f"the Fermi level, {level:.2f} eV, is outside of the energy grid of the density of states, "
            f"{dos.energies[0]:.2f} to {dos.energies[-1]:.2f} eV; "
            "widen it (VASP: EMIN, EMAX; projwfc.x: Emin, Emax)"
        )
    centres = dos.energies - (step / 2 if rule_of(result) == "bins" else 0.0)
    weights = np.exp(-(((centres - level) / width_used) ** 2) / 2)
    both = charge_channels(dos.values).sum(axis=(1, 2))
    notes = [f"N(EF) is the mean of the projections around {level:.3f} eV, Gaussian of {width_used:.3g} eV"]
    if width_used > width:
        notes.append(f"the energy grid has steps of {step:.3g} eV, wider than the {width:g} eV asked for")
    return both @ (weights / weights.sum()) / 2, width_used, notes
