"""Magnetism in the campaign file: orders and the sizes of starting moments."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from heterodft.errors import did_you_mean
from heterodft.structures import ORDERS, BlockOrder, LayerOrder, Moments, Order
from heterodft.units import parse_quantity
from heterodft.workflows.fields import Spec, form, no_truth, quantity_form, reading
from heterodft.workflows.state.choice import DEFAULT_RESEEDS, Choice, Unreached

__all__ = ["Axis", "Enumerate", "MagnetismSpec", "OrderSpec"]

_LARGEST = 20.0
_KINDS = ("block", "layers", "enumerate")


@dataclass(frozen=True)
class Enumerate:
    """The simplest inequivalent collinear orders besides those that are named, at most so many."""

    up_to: int


OrderSpec = Order | Enumerate


def _order(value: Any) -> OrderSpec:
    if isinstance(value, str):
        if value not in ORDERS:
            raise ValueError(f"unknown order '{value}'{did_you_mean(value, ORDERS)}")
        return value
    kinds = [kind for kind in _KINDS if isinstance(value, dict) and kind in value]
    if len(kinds) != 1:
        raise ValueError(
            f"{value!r}; write an order as a name, {{block: {{MATERIAL: ORDER}}, interface: parallel}}, "
            "{layers: {MATERIAL: +-}} or {enumerate: {up_to: 12}}"
        )
    unknown = set(value) - {kinds[0], "interface" if kinds[0] == "block" else kinds[0]}
    if unknown:
        raise ValueError(f"unknown key '{min(unknown)}' beside {kinds[0]}")
    if kinds[0] == "enumerate":
        return _enumerate(value["enumerate"])
    inner = value[kinds[0]]
    if not isinstance(inner, dict) or not inner or not all(isinstance(v, str) for v in inner.values()):
        raise ValueError(f"{kinds[0]}: {inner!r}; give names and what holds for each, as texts")
    if kinds[0] == "layers":
        return LayerOrder(tuple(inner.items()))
    return _by_block(inner, value.get("interface"))


def _enumerate(inner: Any) -> Enumerate:
    if (
        not isinstance(inner, dict)
        or set(inner) != {"up_to"}
        or type(inner["up_to"]) is not int
        or inner["up_to"] < 1
    ):
        raise ValueError(f"enumerate: {inner!r}; write {{enumerate: {{up_to: 12}}}}")
    return Enumerate(inner["up_to"])


def _by_block(inner: dict[str, str], interface: Any) -> BlockOrder:
    for name in inner.values():
        if name not in ORDERS or name == "NM":
            raise ValueError(f"unknown order '{name}' of a block{did_you_mean(name, set(ORDERS) - {'NM'})}")
    if interface is None:
        return BlockOrder(tuple(inner.items()), wished=False)
    if interface not in ("parallel", "antiparallel"):
        raise ValueError(f"interface: {interface!r}; give parallel or antiparallel")
    return BlockOrder(tuple(inner.items()), interface)


def _size(value: Any) -> float:
    try:
        size = parse_quantity(value, "moment")
    except ValueError:
        size = -1.0
    if not 0 <= size <= _LARGEST:
        raise ValueError(
            f"{value!r} is no size of a moment; give 0 to {_LARGEST:g} μB, and signs by an order of layers or blocks"
        )
    return size


def _moments(value: Any) -> Moments:
    if not isinstance(value, dict):
        raise ValueError(f"{value!r}; give moments in μB by element: {{Ti: 1.0}}")
    sites: dict[int, float] = {}
    layers: dict[tuple[str, str], float] = {}
    species: dict[str, float] = {}
    for key, given in value.items():
        if key == "sites":
            if not isinstance(given, dict) or not all(str(index).isdecimal() for index in given):
                raise ValueError(f"sites: {given!r}; give moments by index of the site: {{0: 1.0}}")
            sites = {int(index): _size(size) for index, size in given.items()}
        elif isinstance(given, dict):
            by_layer = {label: _size(size) for label, size in given.items()}
            if "rest" in by_layer:
                species[key] = by_layer.pop("rest")
            layers |= {(key, label): size for label, size in by_layer.items()}
        else:
            species[key] = _size(no_truth(given))
    return Moments(sites, layers, species)


@dataclass(frozen=True)
class Axis:
    """Direction of positive moments, Cartesian: z is the stacking normal, x the first in-plane vector.

    Attributes
    ----------
    vectors
        By material; the empty name stands for all.
    """

    vectors: tuple[tuple[str, tuple[float, float, float]], ...]

    @property
    def label(self) -> str:
        """As in a folder name: ``001``, ``CaRuO3.001_LaNiO3.100``."""
        return "_".join(".".join(filter(None, (name, _indices(vector)))) for name, vector in self.vectors)


def _indices(vector: tuple[float, float, float]) -> str:
    whole = all(x == int(x) and abs(x) < 10 for x in vector)
    return "".join(f"{x:g}".replace("-", "m") for x in vector) if whole else "x".join(f"{x:g}" for x in vector)


def _axis(value: Any) -> Axis:
    def vector(given: Any) -> tuple[float, float, float]:
        numbers = isinstance(given, list) and len(given) == 3 and all(type(x) in (int, float) for x in given)
        if not numbers or not any(given) or not all(math.isfinite(x) for x in given):
            raise ValueError(f"{given!r} is no direction; give three numbers such as [0, 0, 1]")
        x, y, z = map(float, given)
        return x, y, z

    if isinstance(value, dict) and value:
        return Axis(tuple((str(name), vector(given)) for name, given in value.items()))
    return Axis((("", vector(value)),))


def _axes(value: Any) -> Any:
    """Take one direction, or a list of them."""
    single = isinstance(value, dict) or (isinstance(value, list) and value and not isinstance(value[0], list | dict))
    return [value] if single else value


_NAMES: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1}
_ORDER: dict[str, Any] = {
    "anyOf": [
        {"enum": [*ORDERS]},
        {
            "type": "object",
            "properties": {"block": _NAMES, "interface": {"enum": ["parallel", "antiparallel"]}},
            "required": ["block"],
            "additionalProperties": False,
        },
        {"type": "object", "properties": {"layers": _NAMES}, "required": ["layers"], "additionalProperties": False},
        {
            "type": "object",
            "properties": {
                "enumerate": {
                    "type": "object",
                    "properties": {"up_to": {"type": "integer", "minimum": 1}},
                    "required": ["up_to"],
                    "additionalProperties": False,
                }
            },
            "required": ["enumerate"],
            "additionalProperties": False,
        },
    ]
}
_SIZE = quantity_form("moment", minimum=0, maximum=_LARGEST)
_MOMENTS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "sites": {"type": "object", "patternProperties": {r"^\d+$": _SIZE}, "additionalProperties": False}
    },
    "additionalProperties": {"anyOf": [_SIZE, {"type": "object", "additionalProperties": _SIZE}]},
}
_VECTOR: dict[str, Any] = {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3}
_AXIS: list[dict[str, Any]] = [_VECTOR, {"type": "object", "additionalProperties": _VECTOR, "minProperties": 1}]
Axes = Annotated[
    list[Annotated[Any, reading(_axis)]],
    BeforeValidator(_axes),
    form(anyOf=[*_AXIS, {"type": "array", "items": {"anyOf": _AXIS}}]),
]


class MagnetismSpec(Spec):
    """Magnetic orders and starting moments (μB) by element, layer or site; what to do with states not asked for."""

    orders: list[Annotated[Any, reading(_order), form(**_ORDER)]] = Field(
        default=["NM"], min_length=1, description="Magnetic orders, a configuration each"
    )
    moments: Annotated[Any, reading(_moments), form(**_MOMENTS)] = Field(
        default=Moments(),
        description="Sizes of starting moments, μB, by element, layer or site; usual ones by default",
        examples=[{"Ti": 1.0}],
    )
    unfit: Literal["auto", "stop", "skip"] = Field(
        default="auto",
        description="What becomes of an order that does not fit a cell; auto skips those by block where another fits",
    )
    axes: Axes = Field(
        default=[],
        description="Directions of the moments of noncollinear runs, a configuration each; collinear by default",
        examples=[[0, 0, 1]],
    )
    spin_orbit: bool = Field(default=False, description="Spin-orbit coupling")
    unreached: Choice | None = Field(
        default=None, description="What becomes of a state that was not asked for; flag by default", examples=["flag"]
    )
    reseeds: Annotated[int, Field(ge=1, le=9, strict=True)] | None = Field(
        default=None,
        description="With unreached: reseed, how many other starts are tried at most; 2 by default",
        examples=[2],
    )

    @model_validator(mode="after")
    def _reseeds_of_a_reseed(self) -> Self:
        if self.reseeds is not None and self.unreached != "reseed":
            raise ValueError(f"reseeds: {self.reseeds} means nothing here; write unreached: reseed beside it")
        return self

    @property
    def on_another_state(self) -> Unreached | None:
        """What to do where a run ends in another state than asked for; None where it is not said."""
        if self.unreached is None:
            return None
        seeds = self.reseeds or DEFAULT_RESEEDS if self.unreached == "reseed" else 0
        return Unreached(self.unreached, seeds)

    @property
    def directions(self) -> list[Axis | None]:
        """The axes of the moments, one a configuration; None of a collinear run."""
        along_normal = Axis((("", (0.0, 0.0, 1.0)),))
        return [*self.axes] or ([along_normal] if self.spin_orbit else [None])

    @property
    def elements(self) -> list[str]:
        """Elements that a moment is given for."""
        return list(dict.fromkeys([*self.moments.species, *(element for element, _ in self.moments.layers)]))
