"""The scans of the Hubbard U of the ``converge`` section."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from heterodft.errors import InputError, did_you_mean
from heterodft.templates.hubbard import UChoice, parse_hubbard
from heterodft.units import parse_quantity
from heterodft.workflows.fields import Energy, Spec, as_list, form, no_truth, one_or_more, quantity_form, reading

__all__ = ["Branch", "HubbardScanSpec", "UScan"]

Branch = Literal["cold", "up", "down"]
_RANGE = ("start", "stop", "step")
_KEYS = (*_RANGE, "values", "layers", "rest", "J")
_MOST = 100
"""Values of one scan; more is most likely a slip of the pen in the step."""
_MOST_TOGETHER = 200
"""Combinations of the values of several shells."""
_HOW = "give {start: 0, stop: 5, step: 1} or a list such as [0, 2, 4]"


@dataclass(frozen=True)
class UScan:
    """The values of U of one shell.

    Attributes
    ----------
    values
        eV, rising.
    layers
        The layers that carry them; empty for every atom of the element.
    rest
        eV of the other layers.
    j
        Hund's J in eV, None for the scheme of Dudarev et al.
    """

    values: tuple[float, ...]
    layers: tuple[str, ...] = ()
    rest: float = 0.0
    j: float | None = None

    def choice(self, value: float) -> float | UChoice:
        """Return one value as the ``hubbard`` section would have it."""
        if self.layers:
            return UChoice(self.rest, self.j, tuple((layer, value) for layer in sorted(self.layers)))
        return value if self.j is None else UChoice(value, self.j)


def _u(value: Any, key: str) -> float:
    try:
        return parse_quantity(no_truth(value), "energy")
    except ValueError as error:
        raise ValueError(f"{key}: {value!r} is no U; give eV") from error


def _read_scan(given: Any) -> UScan:
    if not isinstance(given, dict):
        return UScan(_listed(given))
    by_layer = [key for key in given if ":" in key]
    if by_layer:
        return _by_layer(given, by_layer)
    for key in given:
        if key not in _KEYS:
            raise ValueError(f"unknown key '{key}' of a scan{did_you_mean(key, _KEYS)}")
    if "values" in given and set(given) & set(_RANGE):
        raise ValueError("values beside a range; give one of them")
    values = _listed(given["values"]) if "values" in given else _range(given)
    layers = tuple(dict.fromkeys(map(str, as_list(given.get("layers", [])))))
    if "rest" in given and not layers:
        raise ValueError('rest is the U of the other layers; name those that are scanned: layers: ["KTaO3:1"]')
    if "layers" in given and not all(":" in layer for layer in layers or ("",)):
        raise ValueError(f'layers: {given["layers"]!r}; write MATERIAL:NUMBER such as ["KTaO3:1"]')
    rest = _u(given["rest"], "rest") if "rest" in given else 0.0
    return UScan(values, layers, rest, _u(given["J"], "J") if "J" in given else None)


def _by_layer(given: dict[str, Any], layers: list[str]) -> UScan:
    """Read ``{"KTaO3:1": {start: 0, stop: 3, step: 1}, rest: 1.0}``."""
    if len(layers) > 1 or set(given) - {layers[0], "rest", "J"}:
        raise ValueError(
            "one layer is scanned by its name, beside rest and J; write several that go together as "
            '{layers: ["KTaO3:1", "KTaO3:2"], start: 0, stop: 3, step: 1}'
        )
    inner = given[layers[0]]
    ranged = inner if isinstance(inner, dict) else {"values": inner}
    return _read_scan({"layers": layers, **{k: v for k, v in given.items() if k != layers[0]}, **ranged})


def _listed(given: Any) -> tuple[float, ...]:
    if not isinstance(given, list):
        raise ValueError(f"{given!r} is no scan of U; {_HOW}")
    values = tuple(_u(value, "values") for value in given)
    if len(values) < 2:
        raise ValueError(f"{given!r} is {'one value' if values else 'empty'}; a scan takes two values of U or more")
    for one, other in pairwise(values):
        if other <= one:
            raise ValueError(f"{one:g}, {other:g} eV does not rise; list U upwards, branches: [down] goes downwards")
    return values


def _range(given: dict[str, Any]) -> tuple[float, ...]:
    missing = [key for key in ("stop", "step") if key not in given]
    if missing:
        raise ValueError(f"{missing[0]} is missing; {_HOW}")
    start, stop, step = (_u(given.get(key, 0.0), key) for key in _RANGE)
    if step <= 0:
        raise ValueError(f"step: {step:g} eV; give a step greater than 0")
    if stop <= start:
        raise ValueError(
            f"start {start:g} eV to stop {stop:g} eV goes backwards; give the lower U as start, branches: [down] "
            "goes downwards"
        )
    count = math.floor((stop - start) / step + 1e-6) + 1
    if count < 2:
        raise ValueError(f"{start:g} to {stop:g} eV in steps of {step:g} eV is one value; a scan takes two or more")
    if count > _MOST:
        raise ValueError(f"{count} values of U from {start:g} to {stop:g} eV; give a larger step, {_MOST} at most")
    return tuple(round(start + i * step, 6) for i in range(count))


Starts = Annotated[
    list[Annotated[float, Field(gt=0, le=5), reading(no_truth)]], BeforeValidator(as_list), Field(min_length=1)
]
_Names = Annotated[list[str], BeforeValidator(as_list), Field(min_length=1), one_or_more]


_U: dict[str, Any] = quantity_form("energy")
_LIST: dict[str, Any] = {"type": "array", "items": _U, "minItems": 2}
_LAYERS: dict[str, Any] = {"type": "string", "pattern": ":"}
_RANGES: dict[str, Any] = {**dict.fromkeys((*_RANGE, "rest", "J"), _U), "values": _LIST}
_SCAN: dict[str, Any] = {
    "anyOf": [
        _LIST,
        {
            "type": "object",
            "properties": _RANGES | {"layers": {"anyOf": [_LAYERS, {"type": "array", "items": _LAYERS}]}},
            "patternProperties": {
                ":": {"anyOf": [_LIST, {"type": "object", "properties": _RANGES, "additionalProperties": False}]}
            },
            "additionalProperties": False,
        },
    ]
}


class HubbardScanSpec(Spec):
    """Which U, which branches and starts; a key such as ``Cr-3d`` holds the values of that shell.

    Attributes
    ----------
    branches
        ``cold``: each U from the atoms; ``up`` and ``down``: each from the density at the next lower or higher U.
    starts
        Factors on the starting moments of what starts from the atoms.
    structures, orders
        Those to scan, by their names; None for all.
    together
        Whether several shells step through their values together; else each value with each, and the ramps follow
        the first shell.
    tolerance
        eV per formula unit by which two branches in the same state may differ.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[Any, reading(_read_scan), form(**_SCAN)]]

    branches: Annotated[list[Branch], Field(min_length=1), one_or_more] = Field(
        default=["up", "down"],
        description="cold: each U from the atoms; up, down: each from the density at the next lower or higher U",
    )
    starts: Starts = Field(default=[1.0], description="Factors on the starting moments of what starts from the atoms")
    structures: _Names | None = Field(default=None, description="Structures to scan; all by default")
    orders: _Names | None = Field(default=None, description="Orders to scan; all by default")
    together: bool = Field(
        default=True, description="Several shells step through their values together; else each value with each"
    )
    tolerance: Energy = Field(
        default=1e-3, description="Difference of two branches in the same state, eV per formula unit"
    )

    @property
    def scans(self) -> dict[str, UScan]:
        """The values by element and shell, ``Cr-3d``; empty where they are those of the campaign."""
        return dict(self.__pydantic_extra__)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, given: Any) -> Any:
        """Refuse, in its own place, a key that is neither an option nor a shell that takes a U."""
        if not isinstance(given, dict):
            return given
        for key, value in given.items():
            if key in cls.model_fields:
                continue
            if not key[:1].isupper():
                raise _at(key, "extra_forbidden", value)
            try:
                parse_hubbard({key: 0.0})
            except InputError as error:
                raise _at(key, str(error).removeprefix("hubbard: "), value) from error
        return given

    @field_validator("branches", mode="before")
    @classmethod
    def _listed_branches(cls, value: Any) -> Any:
        branches = as_list(value)
        known = ("cold", "up", "down")
        for branch in branches:
            if branch not in known:
                raise ValueError(f"unknown branch '{branch}'{did_you_mean(str(branch), known)}")
        if len(set(branches)) < len(branches):
            raise ValueError(f"a branch is named twice: {', '.join(branches)}")
        return branches

    @field_validator("starts")
    @classmethod
    def _different(cls, starts: list[float]) -> list[float]:
        if len(set(starts)) < len(starts):
            raise ValueError(f"a factor is given twice: {', '.join(f'{start:g}' for start in starts)}")
        return starts

    @model_validator(mode="after")
    def _fit_together(self) -> HubbardScanSpec:
        for key, scan in self.scans.items():
            for value in (*scan.values, scan.rest):
                try:
                    parse_hubbard({key: scan.choice(value)})
                except InputError as error:
                    raise _at(key, str(error).removeprefix("hubbard: "), value) from error
        counts = {key: len(scan.values) for key, scan in self.scans.items()}
        if not self.together and math.prod(counts.values()) > _MOST_TOGETHER:
            told = " × ".join(map(str, counts.values()))
            raise ValueError(
                f"{told} combinations of U are {math.prod(counts.values())} for each structure and order; give fewer "
                f"values, {_MOST_TOGETHER} at most, or together: true"
            )
        if self.together and len(set(counts.values())) > 1:
            told = ", ".join(f"{key} {count}" for key, count in counts.items())
            raise ValueError(
                f"shells that go together need as many values each, not {told}; or give together: false, each value "
                "with each"
            )
        return self


def _at(key: str, message: str, value: Any) -> ValidationError:
    """Return a mistake that is told in the line of a key."""
    kind: Any = message
    if message != "extra_forbidden":
        kind = PydanticCustomError("value_error", "{error}", {"error": message})
    return ValidationError.from_exception_data(
        "HubbardScanSpec", [InitErrorDetails(type=kind, loc=(key,), input=value)]
    )
