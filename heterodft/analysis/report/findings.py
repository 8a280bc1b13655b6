"""What the steps of one configuration give layer by layer, and why not where they do not."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from heterodft.analysis.band_edges import BandEdges
from heterodft.analysis.bands import LayerBands
from heterodft.analysis.carriers import SheetCarriers
from heterodft.analysis.densities import SlabIntegrals
from heterodft.analysis.gaps import find_gap
from heterodft.analysis.layers import find_layering
from heterodft.analysis.local import DefectNeighbours
from heterodft.analysis.orbitals import OrbitalPolarization
from heterodft.analysis.pdos import LayerDos, reference_energy
from heterodft.analysis.potentials import PlanarAverage
from heterodft.analysis.readers import read_folder
from heterodft.analysis.readers.grid_files import read_grid
from heterodft.analysis.report.moment_profiles import groups_to_draw, moment_profile
from heterodft.analysis.sections import has_orbitals, is_plain_metal, transition_metals
from heterodft.analysis.stoner import StonerProduct
from heterodft.analysis.structure import StructureProfile
from heterodft.errors import HeterodftError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from heterodft.analysis.charges import LayerCharges
    from heterodft.analysis.layers import Layering
    from heterodft.analysis.report.moment_profiles import MomentProfile
    from heterodft.analysis.result import Result

    Made = TypeVar("Made")

__all__ = ["Findings", "find_all", "without_arrays"]

_RELAXATIONS = ("relax", "relax-coarse")
_MOMENT = 0.1
"""μB; a site with more has an open shell."""
_ADVICE = re.compile(r"; (?:give|say|ask) [^;]*$|, or give \w+=[^;]*$")


@dataclass
class Findings:
    """What was found of one configuration; None where a step was not run or does not tell.

    Attributes
    ----------
    layering
        Planes and layers of the cell.
    sites
        The dos step with the moments and charges of the static one too, or the static step alone.
    layer_dos, edges, carriers
        Of the dos step, by plane.
    dos_zero
        What energies of the density of states are counted from: ``Fermi level``, ``middle of the gap``.
    orbitals
        Orbital polarization by plane of each transition metal, where the cell is a metal or has moments.
    stoner
        Stoner product by plane, of a metal without spin.
    charges, bulks
        Charges of the layers against the pure materials of the same campaign, and which these are.
    slabs
        Spin density of the charge step integrated between planes.
    moments
        Profile to draw.
    bands
        Of the bands step, by layer.
    path_gap
        eV along its path, of what is an insulator on the mesh; 0 where bands cross, None where not known.
    potential
        Of the potential step.
    defect
        Neighbours of the defect.
    relaxed
        Spacings, displacements and tilts after a relaxation, by plane.
    missing
        Why a quantity whose step is done could not be made, by what it is.
    notes
        What must be known of those that were.
    """

    layering: Layering | None = None
    sites: Result | None = None
    layer_dos: LayerDos | None = None
    dos_zero: str = ""
    edges: BandEdges | None = None
    carriers: SheetCarriers | None = None
    orbitals: tuple[OrbitalPolarization, ...] = ()
    stoner: StonerProduct | None = None
    charges: LayerCharges | None = None
    bulks: tuple[str, ...] = ()
    slabs: SlabIntegrals | None = None
    moments: MomentProfile | None = None
    bands: LayerBands | None = None
    path_gap: float | None = None
    potential: PlanarAverage | None = None
    defect: DefectNeighbours | None = None
    relaxed: StructureProfile | None = None
    missing: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def let_go(self) -> None:
        """Drop what only figures need: megabytes of each configuration, of campaigns of thousands gigabytes."""
        self.layer_dos = self.bands = None
        if self.sites is not None:
            self.sites = without_arrays(self.sites)
        if self.defect is not None:
            self.defect = replace(self.defect, dos=None)

    def try_to(self, words: str, make: Callable[[], Made]) -> Made | None:
        """Make a quantity, or keep the reason why it cannot be made, and what must be known of it."""
        try:
            made = make()
        except HeterodftError as error:
            self.missing[words] = str(error)
            return None
        for note in getattr(made, "notes", ()):
            if note not in self.notes:
                self.notes.append(note)
        return made


def without_arrays(result: Result) -> Result:
    """Return a result without density of states and bands; how many spins and which k-points there were is kept."""
    bands = result.bands
    if bands is not None:
        none = np.empty((*bands.energies.shape[:2], 0))
        bands = replace(bands, energies=none, occupations=none, projections=None)
    return replace(result, dos=None, bands=bands)


def find_all(
    results: Mapping[str, Result], folders: Mapping[str, Path], *, stoner: Mapping[str, float] | None = None
) -> Findings:
    """Make every quantity that the finished steps of a configuration allow.

    Parameters
    ----------
    results
        By step, those that are done.
    folders
        By step; grids and projections of bands are read there.
    stoner
        Stoner parameters in eV by element, for N(EF) of one spin.
    """
    found = Findings()
    final = _first(results, "static", *_RELAXATIONS)
    found.sites = _with_all_sites(results.get("dos"), final)
    if found.sites is None:
        return found
    structure = found.sites.structure
    found.layering = found.try_to("layers", lambda: find_layering(structure))
    if "bands" in results:
        found.bands = found.try_to("band structure", lambda: _bands(results, folders["bands"], found.layering))
        found.path_gap = _path_gap(_first(results, "dos", "static"), found.bands)
    if found.layering is not None:
        _find_by_layer(found, results, folders, found.layering)
        if found.layer_dos is not None:
            _find_orbitals(found, results["dos"], found.layering, stoner)
    if found.sites.request.get("about", {}).get("defect"):
        sites = found.sites
        found.defect = found.try_to("neighbours of the defect", lambda: DefectNeighbours.from_result(sites))
    found.missing = {words: _short(text, folders.values()) for words, text in found.missing.items()}
    return found


def _short(reason: str, folders: Iterable[Path]) -> str:
    """Leave out paths, of which the reader knows the folder, and what to pass to a function of Python."""
    for folder in folders:
        reason = reason.replace(f"{folder}/", "").replace(str(folder), folder.name)
    return _ADVICE.sub("", reason)


def _first(results: Mapping[str, Result], *steps: str) -> Result | None:
    return next((results[step] for step in steps if step in results), None)


def _with_all_sites(dos: Result | None, final: Result | None) -> Result | None:
    """Return the dos step with what only the static one tells: moments in spheres and the moment of the cell."""
    if dos is None or final is None or len(dos.structure) != len(final.structure):
        return dos or final
    total = final.total_moment if dos.total_moment is None else dos.total_moment
    absolute = final.absolute_moment if dos.absolute_moment is None else dos.absolute_moment
    return replace(dos, sites=final.sites | dos.sites, total_moment=total, absolute_moment=absolute)


def _find_by_layer(
    found: Findings, results: Mapping[str, Result], folders: Mapping[str, Path], layering: Layering
) -> None:
    dos = results.get("dos")
    if dos is not None and dos.dos is not None:
        same: dict[str, Any] = {"by": "plane", "layering": layering}
        found.layer_dos = found.try_to("density of states", lambda: LayerDos.from_result(dos, **same))
        if found.layer_dos is not None:
            found.dos_zero = found.layer_dos.reference_name
            found.edges = found.try_to("band edges by layer", lambda: BandEdges.from_result(dos, **same))
            found.carriers = found.try_to("sheet carriers", lambda: SheetCarriers.from_result(dos, **same))
    if "potential" in results:
        level = max(found.sites.fermi_levels, default=None) if found.sites is not None else None
        found.potential = found.try_to("potential", lambda: _potential(folders["potential"], level))
    if found.sites is not None and any(values.moments is not None for values in found.sites.sites.values()):
        _find_moments(found, found.sites, folders["charge"] if "charge" in results else None, layering)
    relaxed = _first(results, "static", *_RELAXATIONS)
    if relaxed is not None and any(step in results for step in _RELAXATIONS):
        found.relaxed = found.try_to(
            "relaxed structure", lambda: StructureProfile.from_result(relaxed, by="plane", layering=layering)
        )


def _find_orbitals(found: Findings, dos: Result, layering: Layering, parameters: Mapping[str, float] | None) -> None:
    """Tell the filling of eg orbitals where d electrons may be, and how near a metal without spin is to a moment."""
    if is_plain_metal(dos):
        found.stoner = found.try_to(
            "Stoner product",
            lambda: StonerProduct.from_result(dos, parameters=parameters, by="plane", layering=layering),
        )
    if not has_orbitals(dos) or not _has_open_shells(found, dos):
        return
    made = [
        found.try_to(
            f"orbital polarization of {element}",
            partial(OrbitalPolarization.from_result, dos, element, by="plane", layering=layering),
        )
        for element in transition_metals(dos)
    ]
    found.orbitals = tuple(one for one in made if one is not None and np.isfinite(one.polarization).any())


def _has_open_shells(found: Findings, dos: Result) -> bool:
    """Whether the cell is a metal or has moments: what else eg orbitals hold is their part of the bonds."""
    told = () if found.sites is None else found.sites.sites.values()
    if any(abs(moment) > _MOMENT for values in told for moment in values.moments or ()):
        return True
    gap = None if dos.bands is None else find_gap(dos)
    return gap is not None and gap.metal


def _find_moments(found: Findings, sites: Result, charge: Path | None, layering: Layering) -> None:
    """Integrate the spin density between planes, and draw up the profile of moments by every method."""
    grid = None if charge is None else found.try_to("spin density", lambda: read_grid(charge, "spin density"))
    by = groups_to_draw(sites, layering)
    slabs = None
    if grid is not None:
        found.slabs = found.try_to("spin density by layer", lambda: SlabIntegrals.from_grid(grid, by="plane"))
        slabs = found.slabs if by == "plane" else SlabIntegrals.from_grid(grid)
    found.moments = found.try_to("moments by layer", lambda: moment_profile(sites, layering, by, slabs))


def _bands(results: Mapping[str, Result], folder: Path, layering: Layering | None) -> LayerBands:
    """Take the bands with their projections where the folder still has them; zero is that of the mesh."""
    result = results["bands"]
    mesh = _first(results, "dos", "static")
    if result.bands is not None and result.bands.projections is None:
        result = _with_projections(result, folder)
    if layering is None and result.bands is not None:
        result = replace(result, bands=replace(result.bands, projections=None))
    reference = None if mesh is None or not mesh.fermi_levels else reference_energy(mesh)
    return LayerBands.from_result(result, layering=layering, reference=reference)


def _with_projections(result: Result, folder: Path) -> Result:
    """Return the same bands with their projections; as they are where the folder no longer has them."""
    try:
        again = read_folder(folder, projections=True)
    except HeterodftError:
        return result
    if again.bands is None or again.bands.projections is None or result.bands is None:
        return result
    return again if again.bands.energies.shape == result.bands.energies.shape else result


def _path_gap(mesh: Result | None, bands: LayerBands | None) -> float | None:
    """Return the gap along the path between the bands that are filled and those that are empty on the mesh."""
    if mesh is None or mesh.bands is None or bands is None or bands.reference_name == "Fermi level":
        return None
    filled = (mesh.bands.energies < bands.reference).sum(axis=2)
    counts, empty = filled[:, 0], bands.energies.shape[2]
    if len(filled) != len(bands.energies) or (filled != counts[:, None]).any() or counts.max() >= empty:
        return None
    tops = [spin[:, count - 1].max() for spin, count in zip(bands.energies, counts, strict=True) if count]
    bottoms = [spin[:, count].min() for spin, count in zip(bands.energies, counts, strict=True)]
    return max(0.0, float(min(bottoms) - max(tops))) if tops else None


def _potential(folder: Path, fermi_level: float | None) -> PlanarAverage:
    return PlanarAverage.from_grid(read_grid(folder, "potential"), fermi_level=fermi_level)
