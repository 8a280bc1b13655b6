"""Hubbard U in the campaign file: numbers, lists that are scanned, layers, J and starting occupations."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from heterodft.errors import did_you_mean
from heterodft.templates.hubbard import StartingOccupations, UChoice
from heterodft.units import parse_quantity
from heterodft.workflows.fields import as_list, form, no_truth, quantity_form, reading

__all__ = ["Scan"]

_KEYS = ("U", "J", "occupations")


def _scan(value: Any) -> list[float | UChoice]:
    return [_choice(one) for one in as_list(value)]


def _choice(value: Any) -> float | UChoice:
    if not isinstance(value, dict):
        return _number(value)
    if "U" not in value and not set(value) & set(_KEYS):
        return UChoice(*_by_layer(value))
    for key in value:
        if key not in _KEYS:
            raise ValueError(f"unknown key '{key}' beside U{did_you_mean(str(key), _KEYS)}")
    given = value.get("U", 0.0)
    number, j, layers = _by_layer(given) if isinstance(given, dict) else (_number(given), None, ())
    j = _number(value["J"]) if "J" in value else None
    start = _occupations(value["occupations"]) if "occupations" in value else None
    return UChoice(number, j, layers, start)


def _by_layer(value: dict[str, Any]) -> tuple[float, None, tuple[tuple[str, float], ...]]:
    """Read ``{"KTaO3:1": 2.0, rest: 1.0}``; without rest the other layers have none."""
    numbers = {str(layer): _number(u) for layer, u in value.items()}
    rest = numbers.pop("rest", 0.0)
    for layer in numbers:
        if ":" not in layer:
            raise ValueError(
                f"'{layer}' is no layer; write MATERIAL:NUMBER such as \"KTaO3:1\", rest, or U, J, occupations"
            )
    return rest, None, tuple(sorted(numbers.items()))


def _number(value: Any) -> float:
    try:
        return parse_quantity(value, "energy")
    except ValueError as error:
        unit = f" ({error})" if "unknown unit" in str(error) else ""
        raise ValueError(
            f"{value!r} is no U{unit}; give eV, a list of them, {{LAYER: eV, rest: eV}} or {{U: eV, J: eV}}"
        ) from error


def _occupations(value: Any) -> StartingOccupations:
    if not isinstance(value, dict) or set(value) != {"up", "down"}:
        raise ValueError(f"occupations: {value!r}; give {{up: [1, 0, 0, 0, 0], down: [0, 0, 0, 0, 0]}}")
    spins = []
    for spin in (value["up"], value["down"]):
        if not isinstance(spin, list):
            raise ValueError(f"occupations: {spin!r}; give a list of eigenvalues, lowest first")
        spins.append(tuple(None if one is None else _eigenvalue(one) for one in spin))
    return StartingOccupations(*spins)


def _eigenvalue(value: Any) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"occupations: {value!r}; give numbers from 0 to 1, or null for what is left free")
    return float(value)


_ENERGY = quantity_form("energy")
_BY_LAYER: dict[str, Any] = {
    "type": "object",
    "patternProperties": {"^rest$|:": _ENERGY},
    "additionalProperties": False,
    "minProperties": 1,
}
_EIGENVALUES: dict[str, Any] = {"type": "array", "items": {"type": ["number", "null"]}}
_WITH_J: dict[str, Any] = {
    "type": "object",
    "properties": {
        "U": {"anyOf": [_ENERGY, _BY_LAYER]},
        "J": _ENERGY,
        "occupations": {
            "type": "object",
            "properties": {"up": _EIGENVALUES, "down": _EIGENVALUES},
            "required": ["up", "down"],
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
    "minProperties": 1,
}
_CHOICES: list[dict[str, Any]] = [_ENERGY, _BY_LAYER, _WITH_J]

Scan = Annotated[
    list[Annotated[Any, reading(no_truth)]],
    reading(_scan),
    Field(min_length=1),
    form(anyOf=[*_CHOICES, {"type": "array", "items": {"anyOf": _CHOICES}, "minItems": 1}]),
]
"""One value a configuration: a number in eV or a `UChoice`."""
