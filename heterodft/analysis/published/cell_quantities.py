"""What a whole cell says: order energies, the order of lowest energy, the gap, the misfit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from heterodft.analysis.energies.comparability import compare
from heterodft.analysis.energies.states import find_states
from heterodft.analysis.published.choosing import family_of, place_of, the_one
from heterodft.analysis.published.found import Found
from heterodft.analysis.report.electron_caveats import ANOTHER_MESH, MISFILLED
from heterodft.errors import ReaderError, did_you_mean

if TYPE_CHECKING:
    from heterodft.analysis.gaps import Gap
    from heterodft.analysis.published.choosing import Configurations
    from heterodft.analysis.published.figures import Ours
    from heterodft.analysis.report.collect import ConfigurationReport
    from heterodft.analysis.result import Result

__all__ = [
    "count_of",
    "final_result",
    "find_energy",
    "find_gap_of_cell",
    "find_lowest_order",
    "find_misfit",
    "with_minus",
]

UNRESOLVED = "unresolved"
"""Of a gap that more k-points may close: neither an insulator nor a metal."""
_NOT_RESOLVED = "the mesh does not resolve the gap"
_MARGIN = 1.0
"""meV per formula unit: orders that are nearer to one another are not told apart."""


def final_result(report: ConfigurationReport) -> Result:
    """Return the result that energy and moments are from.

    Raises
    ------
    ReaderError
        If it is not there.
    """
    if report.static is None:
        raise ReaderError("not run yet")
    return report.static


def count_of(result: Result, per: str) -> float:
    """Return how many formula units, atoms, magnetic ions or atoms of an element a cell holds.

    Raises
    ------
    ReaderError
        If it holds none.
    """
    composition = result.structure.composition
    if per in ("", "cell"):
        return 1.0
    if per == "f.u.":
        return float(composition.get_reduced_composition_and_factor()[1])
    if per == "atom":
        return float(composition.num_atoms)
    if per == "magnetic ion":
        sites = find_states([result])[0].sites
        if not sites:
            raise ReaderError("the cell has no magnetic ion")
        return float(len(sites))
    count = float(composition[per]) if per in {str(element) for element in composition} else 0.0
    if not count:
        raise ReaderError(f"the cell holds no {per}{did_you_mean(per, [str(element) for element in composition])}")
    return count


def find_energy(report: ConfigurationReport, ours: Ours, every: Configurations) -> Found:
    """Return the energy of a configuration less that of another one, in meV, where the two may be subtracted."""
    assert ours.minus is not None  # noqa: S101, the campaign file is refused without it
    result, other = final_result(report), the_one(ours.minus, report, every)
    zero = final_result(other)
    places = [" ".join(place_of(one.path)[:2]) for one in (report, other)]
    if report is other:
        raise ReaderError(f"{places[0]} is compared with itself")
    found = compare(result, zero, names=(places[0], places[1]))
    if not found.may_subtract() or result.energy is None or zero.energy is None:
        raise ReaderError(f"not comparable: {found.reason()}")
    meV = 1000 * (result.energy - zero.energy)
    doubts = tuple(
        f"{place}: {caveat.partition(';')[0]}"
        for place, one in zip(places, (report, other), strict=True)
        for caveat in one.caveats
        if caveat.startswith(MISFILLED)
    )
    return Found(meV / count_of(result, ours.per or "f.u."), notes=found.caveats(), doubts=doubts)


def find_lowest_order(report: ConfigurationReport, _ours: Ours, every: Configurations) -> Found:
    """Return the magnetic state of lowest energy among the orders of a structure and U."""
    members = family_of(report, every)
    paths = [path for path in every.paths if place_of(path)[::2] == place_of(report.path)[::2]]
    ranked = [one.ranked for one in members if one.ranked is not None and one.ranked.relative is not None]
    ranked.sort(key=lambda row: row.relative or 0.0)
    if not ranked:
        raise ReaderError("none of the energies of its orders may be compared with another")
    states = {row.state or row.name: row for row in reversed(ranked)}
    if len(states) < 2:
        raise ReaderError(
            f"a single state was reached, {ranked[0].state or ranked[0].name}; there is none to compare"
        )
    told = {row.name for row in ranked}
    if set(states) == {"NM", ranked[0].state or ranked[0].name} and len(states) == 2:
        raise ReaderError(
            f"{' and '.join(states)} are the only states reached: that moments form tells nothing of their order"
        )
    left = [place_of(path)[1] for path in paths if place_of(path)[1] not in told and not _is_there(path, members)]
    doubts = [f"without {', '.join(left)}: not finished or not comparable"] if left else []
    second = min(list(states.values())[:-1], key=lambda row: row.relative or 0)  # the lowest was put in last
    margin = (second.per_formula_unit or 0.0) - (ranked[0].per_formula_unit or 0.0)
    if margin < _MARGIN:
        doubts.append(f"{second.state or second.name} is only {margin:.2f} meV/f.u. higher")
    if not ranked[0].state:
        doubts.append("the state reached is not known, this is the order asked for")
    notes = (f"{margin:.1f} meV/f.u. below {second.state or second.name}, the next of {len(states)} states",)
    return Found(word=ranked[0].state or ranked[0].name, notes=notes, doubts=tuple(doubts))


def _is_there(path: str, members: list[ConfigurationReport]) -> bool:
    """Whether a configuration has an energy that was ranked."""
    own = next((one for one in members if one.path == path), None)
    return own is not None and own.ranked is not None and own.ranked.relative is not None


def find_gap_of_cell(report: ConfigurationReport, ours: Ours, _every: Configurations) -> Found:
    """Return the gap in eV, over both spins or of one, the smaller of mesh and path; ``metal`` or ``insulator``."""
    gap = report.gap
    if gap is None:
        raise ReaderError("no gap can be told: no empty band was computed, or the bands are not kept")
    notes = [report.gap_source]
    resolved = gap.metal or gap.resolved
    insulator = "insulator" if resolved else UNRESOLVED
    doubts = [words for words in report.caveats if ANOTHER_MESH in words] + [_NOT_RESOLVED] * (not resolved)
    path = report.found.path_gap
    if ours.spin:
        return _gap_of_spin(
            gap, ours.spin, [*notes, *(["the path of the bands left out"] if path is not None else [])]
        )
    if path is not None and not gap.metal and path < gap.value:
        notes.append("along the path of the bands")
        return Found(path, insulator if path > 0 else "metal", tuple(notes), tuple(doubts))
    metal = "half-metal" if gap.half_metal else "metal"
    return Found(gap.value, metal if gap.metal else insulator, tuple(notes), tuple(doubts))


def _gap_of_spin(gap: Gap, spin: str, notes: list[str]) -> Found:
    if len(gap.spins) < 2:
        notes.append("without spin, both are alike")
    own = gap.spins[-1 if spin == "down" else 0]
    if own.metal:
        return Found(0.0, "metal", tuple(notes))
    if own.fundamental is None:
        raise ReaderError("no empty band of this spin was computed")
    resolved = own.mesh_error is not None and own.fundamental > own.mesh_error
    if resolved:
        return Found(own.fundamental, "insulator", tuple(notes))
    return Found(own.fundamental, UNRESOLVED, tuple(notes), (_NOT_RESOLVED,))


def find_misfit(report: ConfigurationReport, ours: Ours, _every: Configurations) -> Found:
    """Return by how many % the lattice of a material is larger than the one it is strained to."""
    strain = final_result(report).request.get("about", {}).get("strain") or {}
    if ours.material not in strain:
        raise ReaderError(f"no strain of {ours.material} is told{did_you_mean(ours.material, strain)}")
    value = strain[ours.material]
    return Found(-100.0 * value / (100.0 + value), notes=("from the lattice constants given, mean in the plane",))


def with_minus(ours: Ours) -> Ours:
    """Return the same whose subtracted configuration has the order of the first, where it names none."""
    if ours.minus is None or ours.minus.order or not ours.of.order:
        return ours
    return replace(ours, minus=replace(ours.minus, order=ours.of.order))
