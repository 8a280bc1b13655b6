"""The several starts of the ``converge`` section: other moments, distorted structures, other occupations."""

from __future__ import annotations

import math
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from heterodft.units import parse_quantity
from heterodft.workflows.fields import Energy, Spec, as_list, form, no_truth, one_or_more, quantity_form

__all__ = ["OccupationStart", "RandomStarts", "StartsSpec"]

_LARGEST_FACTOR = 10.0
_STEEPEST, _WIDEST = -0.9, 1.0
_MOST_RATTLE = 0.5
_RATTLE = 0.05
"""Å: breaks the symmetry and moves no bond by much."""


def _factor(value: Any) -> float:
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if 0 < number <= _LARGEST_FACTOR:
        return number
    why = " (without moments it is the order NM)" if number == 0 else ""
    why = " (another sign for all is the same state)" if number < 0 else why
    raise ValueError(f"{value!r} is no factor on starting moments{why}; give more than 0, up to {_LARGEST_FACTOR:g}")


def _distortion(value: Any) -> float:
    fine = isinstance(value, int | float) and not isinstance(value, bool)
    if not fine or not _STEEPEST <= value <= _WIDEST:
        raise ValueError(
            f"{value!r} is no bond distortion; give {_STEEPEST:g} to {_WIDEST:g}, such as -0.2 for bonds 20 % shorter"
        )
    return float(value)


def _occupations(value: Any) -> tuple[tuple[float | None, ...], tuple[float | None, ...]]:
    if isinstance(value, dict) and set(value) == {"up", "down"}:
        value = [value["up"], value["down"]]
    fine = isinstance(value, list) and len(value) == 2 and all(isinstance(spin, list) for spin in value)
    numbers: list[Any] = [one for spin in value for one in spin] if fine else [""]
    if not all(one is None or (type(one) in (int, float) and 0 <= one <= 1) for one in numbers):
        raise ValueError(
            f"{value!r} are no starting occupations; give those of the spin up and of the spin down, each of 0 to 1, "
            "lowest first: [[0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]"
        )
    up, down = (tuple(None if one is None else float(one) for one in spin) for spin in value)
    return up, down


def _several_occupations(value: Any) -> Any:
    """Take one pair of spins, or a list of them."""
    if isinstance(value, dict):
        return [value]
    spins = isinstance(value, list) and all(isinstance(spin, list) for spin in value)
    flat = spins and not any(isinstance(one, list) for spin in value for one in spin)
    return [value] if flat and value else value


def _length(value: Any) -> Any:
    return None if value is None else parse_quantity(value, "length")


Factor = Annotated[float, BeforeValidator(_factor), Field(gt=0, le=_LARGEST_FACTOR)]
Distortion = Annotated[float, BeforeValidator(_distortion), Field(ge=_STEEPEST, le=_WIDEST)]
OccupationStart = Annotated[Any, BeforeValidator(_occupations)]
"""Eigenvalues of the occupation matrix, up and down, lowest first."""
_SPIN: dict[str, Any] = {"type": "array", "items": {"type": ["number", "null"], "minimum": 0, "maximum": 1}}
_SPINS: list[dict[str, Any]] = [
    {"type": "array", "items": _SPIN, "minItems": 2, "maxItems": 2},
    {
        "type": "object",
        "properties": {"up": _SPIN, "down": _SPIN},
        "required": ["up", "down"],
        "additionalProperties": False,
    },
]
_Occupations = Annotated[
    list[OccupationStart],
    BeforeValidator(_several_occupations),
    Field(min_length=1),
    form(anyOf=[*_SPINS, {"type": "array", "items": {"anyOf": _SPINS}, "minItems": 1}]),
]
Rattle = Annotated[
    float,
    BeforeValidator(_length),
    Field(ge=0, le=_MOST_RATTLE),
    form(**quantity_form("length", minimum=0, maximum=_MOST_RATTLE)),
]
Count = Annotated[int, BeforeValidator(no_truth), Field(strict=True)]


class RandomStarts(Spec):
    """Starting moments with random signs and sizes."""

    number: Annotated[Count, Field(ge=1, le=100)] = Field(default=2, description="How many")
    seed: Annotated[Count, Field(ge=0)] = Field(default=1, description="Of the random numbers")


class StartsSpec(Spec):
    """Which other starts to try, for which configurations, and when to stop.

    Attributes
    ----------
    structures, orders
        Names; by default the structures with a defect, or all where none has one, and all orders but NM.
    moments
        Factors on the starting moments.
    random
        Random signs by site and sizes by element.
    distortions
        Factors by which bonds around the defect are longer; each relaxes from there.
    rattle
        Å, standard deviation of the random displacements in distorted starts.
    occupations
        Starting occupations by shell, several.
    limit
        At most so many starts of one structure and U.
    patience
        So many starts in a row that find nothing new are the last.
    energy_tolerance
        eV of the cell: states with the same moments and structure whose energies are farther apart are two.
    """

    structures: Annotated[list[str], Field(min_length=1), one_or_more] | None = Field(
        default=None, description="Structures to try; those with a defect, or all where none has one, by default"
    )
    orders: Annotated[list[str], Field(min_length=1), one_or_more] | None = Field(
        default=None, description="Orders to try; all but NM by default"
    )
    moments: list[Factor] | None = Field(default=None, description="Factors on the starting moments")
    random: RandomStarts | None = Field(default=None, description="Random signs by site and sizes by element")
    distortions: list[Distortion] | None = Field(
        default=None, description="Factors by which bonds around the defect are longer; each relaxes from there"
    )
    rattle: Rattle | None = Field(
        default=None, description="Standard deviation of random displacements in distorted starts, Å; 0.05 by default"
    )
    occupations: dict[str, _Occupations] = Field(default={}, description="Starting occupations by shell, several")
    limit: Annotated[Count, Field(ge=2, le=1000)] = Field(
        default=12, description="Starts of one structure and U at most"
    )
    patience: Annotated[Count, Field(ge=1, le=1000)] = Field(
        default=4, description="So many starts in a row that find nothing new are the last"
    )
    energy_tolerance: Annotated[Energy, Field(le=1)] = Field(
        default=0.005, description="States with the same moments and structure farther apart than this are two, eV"
    )

    @field_validator("structures", "orders", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return None if value is None else as_list(value)

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if self.rattle and self._named and not self.distortions:
            raise ValueError("rattle moves the atoms of distorted starts; give distortions, [0.0] to rattle alone")
        others = [factor for factor in self.moments or [] if factor != 1]
        moved = [one for one in self.distortions or [] if one or self.rattle != 0]
        if self._named and not (others or self.random or moved or self.occupations):
            raise ValueError(
                "there is no start besides the campaign's own; give moments: [0.5, 2], random: {number: 4}, "
                "distortions: [-0.2, 0.2] or occupations"
            )
        return self

    @property
    def rattle_size(self) -> float:
        """Å; 0.05 where nothing is said."""
        return _RATTLE if self.rattle is None else self.rattle

    @property
    def _named(self) -> bool:
        """Whether it is said which starts to try."""
        return (
            self.moments is not None
            or self.random is not None
            or self.distortions is not None
            or bool(self.occupations)
        )

    def filled(self, *, relaxes: bool) -> StartsSpec:
        """Return the same with the starts that are tried where none are named.

        Moments by 0.5 and 2, two with random signs and sizes, and, where the steps relax, bonds 20 % shorter and
        longer at a defect.
        """
        if self._named:
            return self
        distortions = [-0.2, 0.2] if relaxes else None
        return self.model_copy(
            update={"moments": [0.5, 1.0, 2.0], "random": RandomStarts(), "distortions": distortions}
        )
