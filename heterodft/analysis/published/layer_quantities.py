"""What sites and layers say: moments, carriers, charges, orbital polarization, Stoner products."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.carriers import SheetCarriers
from heterodft.analysis.charges import LayerCharges
from heterodft.analysis.energies.comparability import compare
from heterodft.analysis.layers import find_layering
from heterodft.analysis.layers.site_sums import site_kinds
from heterodft.analysis.local import DefectNeighbours
from heterodft.analysis.orbitals import OrbitalPolarization
from heterodft.analysis.published.cell_quantities import count_of, final_result
from heterodft.analysis.published.choosing import the_one
from heterodft.analysis.published.figures import Selection
from heterodft.analysis.published.found import Found
from heterodft.analysis.published.setting import doubts_of
from heterodft.analysis.selection import select_sites
from heterodft.analysis.stoner import StonerProduct
from heterodft.errors import ReaderError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from heterodft.analysis.layers import Layering
    from heterodft.analysis.published.choosing import Configurations
    from heterodft.analysis.published.figures import Ours
    from heterodft.analysis.report.collect import ConfigurationReport
    from heterodft.analysis.result import Result

__all__ = ["find_carriers", "find_charge", "find_largest_layer", "find_moment", "find_orbitals", "find_stoner"]

_SHELLS = 12
"""Around a defect, in which the nearest one of each element is looked for."""
_NO_MOMENT = 0.05
"""μB of a cell: below, its direction means nothing and a part of it neither."""
_FEWEST = 1e9
"""Carriers in 1/cm² that are no more than rounding."""


def find_moment(report: ConfigurationReport, ours: Ours, _every: Configurations) -> Found:
    """Return a moment in μB, positive along that of the cell: of the whole cell, or of the sites asked for."""
    result = final_result(report)
    total = result.total_moment
    if not (ours.elements or ours.layers or ours.where):
        if total is None:
            raise ReaderError("the run was not spin-polarized")
        return Found(abs(total) / count_of(result, ours.per), notes=("integral of the cell's spin density",))
    sites = _sites(result, ours)
    kinds = {kind: values for kind, values in site_kinds(result).items() if values.moments is not None}
    if not kinds:
        raise ReaderError("the run was not spin-polarized; its sites have no moments")
    kind, values = next(iter(kinds.items()))
    along = -1.0 if total is not None and total < -_NO_MOMENT else 1.0
    moment = along * float(np.asarray(values.moments)[sites].sum())
    made = "moments in spheres" if kind == "sphere" else "moments by Löwdin"
    notes = (made, f"{len(sites)} site{'s' * (len(sites) != 1)}")
    if ours.share:
        if total is None or abs(total) < _NO_MOMENT:
            raise ReaderError("the cell has no moment of which this could be a part")
        return Found(100 * moment / abs(total), notes=notes)
    return Found(moment / _count(result, sites, ours.per), notes=notes)


def _count(result: Result, sites: Sequence[int], per: str) -> float:
    """Return by what the sum over sites is divided: for ``atom`` and elements, by those among the sites."""
    if per == "atom":
        return float(len(sites))
    own = sum(result.structure[site].specie.symbol == per for site in sites)
    return float(own) if own else count_of(result, per)


def _sites(result: Result, ours: Ours) -> list[int]:
    """Return the sites that elements, layers and the place of the defect leave.

    Raises
    ------
    ReaderError
        If none is left, or nothing tells where the defect is.
    """
    chosen = set(select_sites(result.structure, elements=ours.elements or None))
    if ours.layers:
        layers = find_layering(result.structure).layers
        chosen &= {site for layer in _matching(layers, ours.layers) for site in layer.sites}
    if ours.where:
        chosen &= _around_defect(result, ours)
    if not chosen:
        raise ReaderError("no site is in all of the elements, layers and places asked for")
    return sorted(chosen)


def _around_defect(result: Result, ours: Ours) -> set[int]:
    around = DefectNeighbours.from_result(result, shells=_SHELLS)
    if ours.where == "defect":
        if around.place.site is None:
            raise ReaderError(f"{around.place.kind} is no atom")
        return {around.place.site}
    nearest: dict[str, tuple[int, ...]] = {}
    for shell in around.shells:
        nearest.setdefault(shell.element, shell.own_sites)
    return {site for element in ours.elements or nearest for site in nearest.get(element, ())}


def _matching(groups: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """Return the layers whose label one of the names stands for.

    Raises
    ------
    ReaderError
        If a name stands for none.
    """
    labels = [group.label for group in groups]
    for name in names:
        if not any(fnmatchcase(label, name) for label in labels):
            raise ReaderError(f"there is no layer {name}{did_you_mean(name, labels)}")
    return [group for group in groups if any(fnmatchcase(group.label, name) for name in names)]


def _projected(report: ConfigurationReport) -> Result:
    """Return the result with the projected density of states.

    Raises
    ------
    ReaderError
        If it is not there.
    """
    return report.read_dos()


def find_carriers(report: ConfigurationReport, ours: Ours, _every: Configurations) -> Found:
    """Return carriers per cm² of one in-plane cell, all or those in some layers, or these as a part of all in %."""
    found = SheetCarriers.from_result(_projected(report), by="layer")
    per_cell = found.electrons if ours.carriers == "electrons" else found.holes
    total = found.total_electrons if ours.carriers == "electrons" else found.total_holes
    own = total
    if ours.layers:
        wanted = _matching(found.groups, ours.layers)
        own = float(sum(n for group, n in zip(found.groups, per_cell, strict=True) if group in wanted))
    notes = (f"{ours.carriers} counted from the gap {found.gap}", *_whose_area(report))
    if ours.share:
        if total * 1e16 / found.area < _FEWEST:
            raise ReaderError(f"there are no {ours.carriers}, of which this could be a part")
        outside = 100 * (1 - float(per_cell.sum()) / total)
        return Found(100 * own / total, notes=(*notes, f"{outside:.0f} % of all are outside of the projections"))
    return Found(own * 1e16 / found.area, notes=notes)


def _whose_area(report: ConfigurationReport) -> list[str]:
    """Say that the carriers of a period are those of all its interfaces."""
    interfaces = [] if report.structure is None else report.structure.properties.get("interfaces") or []
    return [f"of a whole period, which holds {len(interfaces)} interfaces"] if len(interfaces) > 1 else []


def find_charge(report: ConfigurationReport, ours: Ours, every: Configurations) -> Found:
    """Return the electrons that layers have more than the bulk: of all their atoms, or of one of an element."""
    result = _with_charges(report)
    others = {name: the_one(Selection((key,)), report, every) for name, key in ours.bulks.items()}
    bulks = {name: _with_charges(other) for name, other in others.items()}
    found = LayerCharges.from_result(result, by="layer", reference=bulks or None)
    column = found.kinds.index("Löwdin") if "Löwdin" in found.kinds else 0
    wanted = _matching(found.groups, ours.layers or ("*",))
    rows = [row for row, group in enumerate(found.groups) if group in wanted]
    notes = [f"{found.kinds[column]} charges against {found.reference}"]
    if ours.elements:
        unknown = [element for element in ours.elements if element not in found.cations]
        if unknown:
            raise ReaderError(f"{unknown[0]} is no cation of the cell{did_you_mean(unknown[0], found.cations)}")
        columns = [found.cations.index(element) for element in ours.elements]
        changes = -found.valence[np.ix_(rows, [column], columns)]
        value = float(np.nanmean(changes)) if np.isfinite(changes).any() else np.nan
        notes.append("mean of its atoms")
    else:
        value = float(found.transfer[rows, column].sum())
    if not np.isfinite(value):
        raise ReaderError(f"no charge to compare with is known: {'; '.join(found.notes) or 'give the bulks'}")
    return Found(value, notes=tuple(notes), doubts=_doubts_of_bulks(report, others))


def _doubts_of_bulks(report: ConfigurationReport, bulks: Mapping[str, ConfigurationReport]) -> tuple[str, ...]:
    """Return why the charges of bulk runs may mean something else than those beside them."""
    doubts = []
    for name, bulk in bulks.items():
        found = compare(final_result(report), final_result(bulk), "formation")
        doubts += [f"against bulk {name}: {words}" for words in (*found.differences, *doubts_of(bulk))]
    return tuple(doubts)


def _with_charges(report: ConfigurationReport) -> Result:
    return report.dos if report.dos is not None and report.dos.sites else final_result(report)


def find_orbitals(report: ConfigurationReport, ours: Ours, _every: Configurations) -> Found:
    """Return the orbital polarization of the eg shell of an element, mean over its layers."""
    element = ours.elements[0]
    found = OrbitalPolarization.from_result(_projected(report), element)
    numbers = found.polarization if ours.carriers == "electrons" else found.hole_polarization
    wanted = _matching(found.groups, ours.layers or ("*",))
    own = [float(p) for group, p in zip(found.groups, numbers, strict=True) if group in wanted and np.isfinite(p)]
    if not own:
        raise ReaderError(f"the eg shell of {element} holds no {ours.carriers}")
    layers = f"mean of {len(own)} layers" if len(own) > 1 else "of a single layer"
    blurred = () if found.source != "density of states" else ("integrated over tetrahedra, good to some 2 %",)
    return Found(100 * float(np.mean(own)), notes=(f"of the {ours.carriers}, {layers}", *blurred, *found.notes))


def find_stoner(report: ConfigurationReport, ours: Ours, _every: Configurations) -> Found:
    """Return I · N(EF) of the atoms of elements, mean; of a run without magnetization."""
    found = StonerProduct.from_result(
        _projected(report), elements=ours.elements, parameters=ours.parameters or None, by="layer"
    )
    labels = [group.label for group in _matching(found.groups, ours.layers or ("*",))]
    own = [float(p) for label, p in zip(found.layers, found.product, strict=True) if label in labels]
    parameters = sorted({round(float(p), 3) for p in found.parameter})
    return Found(float(np.mean(own)), notes=(f"I = {', '.join(f'{p:g}' for p in parameters)} eV", *found.notes[1:]))


def find_largest_layer(report: ConfigurationReport, ours: Ours, _every: Configurations) -> Found:
    """Return the label of the layer with the largest moment of some elements, or with the most carriers."""
    if ours.largest == "carriers":
        found = SheetCarriers.from_result(_projected(report), by="layer")
        groups: Sequence[Any] = found.groups
        values = found.electrons if ours.carriers == "electrons" else found.holes
        least, unit = _FEWEST * found.area / 1e16, "e a cell"
    else:
        result = final_result(report)
        layering: Layering = find_layering(result.structure)
        groups, values = layering.layers, _moments_by_layer(result, layering, ours.elements)
        least, unit = 0.01, "μB"
    if not len(values) or float(values.max()) < least:
        raise ReaderError("no layer has any")
    best = int(np.argmax(values))
    second = float(np.delete(values, best).max()) if len(values) > 1 else 0.0
    note = f"{values[best]:.3g} {unit} there, {second:.3g} in the next of {len(values)} layers"
    return Found(word=groups[best].label, notes=(note,))


def _moments_by_layer(result: Result, layering: Layering, elements: Sequence[str]) -> Any:
    kinds = [values.moments for values in site_kinds(result).values() if values.moments is not None]
    if not kinds:
        raise ReaderError("the run was not spin-polarized; its layers have no moments")
    chosen = set(select_sites(result.structure, elements=elements or None))
    moments = np.asarray(kinds[0])
    return np.array([abs(sum(moments[s] for s in layer.sites if s in chosen)) for layer in layering.layers])
