"""Energy of a defect against the layer it sits in."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from heterodft.analysis.energies.comparability import compare, faults
from heterodft.analysis.energies.states import asked_order, state_note
from heterodft.errors import ReaderError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from pandas import DataFrame

    from heterodft.analysis.result import Result

__all__ = ["SegregationEnergies", "SegregationEnergy"]


@dataclass(frozen=True)
class SegregationEnergy:
    """A defect in one layer: its kind, layer and plane, order asked for, energy (eV a cell), energy from that in the
    reference layer (eV, None where it may not be subtracted), reference, why there is no number, and notes.
    """

    defect: str
    layer: str
    plane: str
    order: str
    energy: float | None
    relative: float | None
    reference: str
    reason: str
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """``SrTiO3:1 TiO2``."""
        return " ".join(filter(None, (self.layer, self.plane)))


@dataclass(frozen=True)
class SegregationEnergies:
    """E(defect in layer n) - E(defect in the reference layer): negative where the defect would rather be."""

    rows: tuple[SegregationEnergy, ...]

    @classmethod
    def from_results(
        cls,
        results: Sequence[Result],
        *,
        reference: str | None = None,
        layers: Sequence[str] | None = None,
        trust: bool = False,
    ) -> SegregationEnergies:
        """Compare one defect in several layers of one cell.

        Parameters
        ----------
        results
            In the order to show.
        reference
            Label of the layer, ``SrTiO3:3``, or of layer and plane, ``SrTiO3:3 TiO2``; by default the one deepest
            inside its block, the most like a bulk. Each order asked for has its own, where there is one.
        layers
            Labels of the layers, for folders of others.
        trust
            Subtract where the files do not tell some setting; the notes then say which.

        Raises
        ------
        ReaderError
            If no layer is told, or none is the reference.
        """
        places = [_place(result, None if layers is None else layers[i]) for i, result in enumerate(results)]
        if reference is not None and not any(reference in (layer, f"{layer} {plane}") for _, layer, plane in places):
            names = [f"{layer} {plane}".strip() for _, layer, plane in places]
            raise ReaderError(f"no defect sits in {reference}{did_you_mean(reference, names)}")
        rows = []
        for result, place in zip(results, places, strict=True):
            zero = _zero(result, results, places, reference)
            rows.append(_row(result, place, None if zero is None else (results[zero], places[zero]), trust))
        return cls(tuple(rows))

    @classmethod
    def read(
        cls,
        folders: Sequence[Path],
        *,
        reference: str | None = None,
        layers: Sequence[str] | None = None,
        trust: bool = False,
    ) -> SegregationEnergies:
        """Compare the defects of folders, see `from_results`.

        Raises
        ------
        ReaderError
            If a folder cannot be read, or no layer is told.
        """
        from heterodft.analysis.readers import read_folder

        return cls.from_results([read_folder(f) for f in folders], reference=reference, layers=layers, trust=trust)

    @property
    def names(self) -> list[str]:
        """Layer and plane, with the order where there are several."""
        several = len({row.order for row in self.rows}) > 1
        return [f"{row.name} {row.order}" if several else row.name for row in self.rows]

    @property
    def values(self) -> list[float | None]:
        """In `unit`."""
        return [None if row.relative is None else 1000 * row.relative for row in self.rows]

    @property
    def reasons(self) -> list[str]:
        """Why there is no value; empty where there is one."""
        return [row.reason for row in self.rows]

    @property
    def reference(self) -> str:
        """The layer whose energy is zero."""
        return ", ".join(dict.fromkeys(row.reference for row in self.rows if row.reference))

    @property
    def unit(self) -> str:
        """Of `values`."""
        return "meV"

    def to_frame(self) -> DataFrame:
        """Return a table, one row a layer."""
        from pandas import DataFrame

        return DataFrame(
            [
                {
                    "defect": row.defect,
                    "layer": row.layer,
                    "plane": row.plane,
                    "order": row.order,
                    "energy (eV)": row.energy,
                    "segregation energy (eV)": row.relative,
                    "reference layer": row.reference,
                    "no number because": row.reason,
                    "notes": "; ".join(row.notes),
                }
                for row in self.rows
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {"rows": [asdict(row) | {"notes": list(row.notes)} for row in self.rows]}

    def plot(self) -> Figure:
        """Draw the energies as bars."""
        from heterodft.analysis.plots import draw_energies

        return draw_energies(self)


def _place(result: Result, given: str | None) -> tuple[str, str, str]:
    """Return kind, layer and plane of a defect."""
    about = result.request.get("about", {}).get("defect") or {}
    kind, _, layer = str(about.get("label", "")).partition("@")
    if not (given or layer):
        formula = result.structure.formula
        raise ReaderError(f"{formula}: no defect is told in request.json; give the layers as layers=[…]")
    return str(about.get("kind", kind)), given or layer, "" if given else str(about.get("plane", ""))


def _zero(
    result: Result, results: Sequence[Result], places: Sequence[tuple[str, str, str]], wanted: str | None
) -> int | None:
    """Return which result is zero for one: of the same defect and order, in the reference layer, the lowest."""
    kind = places[next(i for i, one in enumerate(results) if one is result)][0]
    alike = [
        i
        for i, other in enumerate(results)
        if places[i][0] == kind and asked_order(other) == asked_order(result) and not faults(other)
    ]
    if wanted is not None:
        alike = [i for i in alike if wanted in (places[i][1], " ".join(places[i][1:]))]
    return min(alike, key=lambda i: (-_depth(results[i], places[i][1]), results[i].energy or 0.0), default=None)


def _depth(result: Result, label: str) -> int:
    """Return how many layers lie between a layer and the nearer end of its block; 0 where that is not known."""
    properties = result.structure.site_properties
    material = label.partition("[")[0] if "[" in label else label.rpartition(":")[0]
    number = label.rpartition(":")[2]
    if not {"material", "layer"} <= set(properties) or not number.isdigit():
        return 0
    inside = [n for m, n in zip(properties["material"], properties["layer"], strict=True) if m == material]
    return min(int(number), max(inside, default=0) - int(number) + 1)


def _row(
    result: Result,
    place: tuple[str, str, str],
    zero: tuple[Result, tuple[str, str, str]] | None,
    trust: bool,
) -> SegregationEnergy:
    kind, layer, plane = place
    relative, reference, notes = None, "", result.notes
    if zero is None:
        reason = "; ".join(faults(result)) or "no usable energy of this defect and order in the reference layer"
    else:
        other, there = zero
        reference = " ".join(filter(None, there[1:]))
        found = compare(result, other, names=(f"{layer} {plane}".strip(), reference))
        allowed = result is other or found.may_subtract(trust=trust)
        reason = "" if result is other else found.reason(trust=trust)
        notes = notes if result is other else found.caveats(trust=trust) + notes
        if allowed and result.energy is not None and other.energy is not None:
            relative = result.energy - other.energy
    order = asked_order(result)
    notes += state_note(result)
    return SegregationEnergy(kind, layer, plane, order, result.energy, relative, reference, reason, notes)
