"""Structures in the campaign file: materials, stacks, interfaces, tilts and defects."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator, model_validator

from heterodft.errors import did_you_mean
from heterodft.structures import Interfaces, MatchLimits, Tilt, parse_tilt
from heterodft.structures.defect_sites import PLACES
from heterodft.units import parse_quantity
from heterodft.workflows.fields import Length, MillerIndex, Spec, as_list, reading

__all__ = [
    "BlockSpec",
    "DefectSpec",
    "InterfacesSpec",
    "LayersOf",
    "MatchSpec",
    "MaterialSpec",
    "StackSpec",
]

_MOST_REPEATS = 50
Supercell = tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]


class MaterialSpec(Spec):
    """A bulk end member: a prototype with lattice constants (Å) and internal parameters, or a structure file."""

    prototype: str | None = None
    a: Length | None = None
    c: Length | None = None
    u: float | None = None
    z_cation: float | None = None
    x_anion: float | None = None
    formula: str | None = None
    file: Path | None = None

    @model_validator(mode="after")
    def _file_or_prototype(self) -> MaterialSpec:
        others = sorted(self.model_fields_set - {"file"})
        if self.file is not None and others:
            raise ValueError(f"a file gives the whole cell; remove {', '.join(others)}")
        return self


Thickness = Annotated[Length, Field(le=2000)]
Layers = Annotated[int, Field(ge=1, le=1000, strict=True)]


class BlockSpec(Spec):
    """A run of one material; several numbers of layers, or thicknesses, make a structure each."""

    material: str
    layers: Annotated[list[Layers], BeforeValidator(as_list), Field(min_length=1)] | None = None
    thickness: Annotated[list[Thickness], BeforeValidator(as_list), Field(min_length=1)] | None = None
    same: Annotated[bool, Field(exclude=True)] = False

    @model_validator(mode="before")
    @classmethod
    def _like_the_first(cls, data: Any) -> Any:
        if isinstance(data, dict) and "same" in data:
            raise ValueError("unknown key 'same'; write thickness: same")
        if isinstance(data, dict) and data.get("thickness") == "same":
            return {key: value for key, value in data.items() if key != "thickness"} | {"same": True}
        return data

    @model_validator(mode="after")
    def _one_measure(self) -> BlockSpec:
        if (self.layers is not None) + (self.thickness is not None) + self.same != 1:
            raise ValueError(f"block of {self.material}: give either layers or thickness")
        return self


def _normal(value: Any) -> Any:
    def indices(given: Any) -> tuple[int, ...]:
        whole = isinstance(given, list) and all(type(i) is int and -20 <= i <= 20 for i in given)
        if not whole or len(given) not in (3, 4):
            raise ValueError(f"Miller indices are three or four whole numbers such as [0, 0, 1], got {given!r}")
        return tuple(given)

    return {name: indices(given) for name, given in value.items()} if isinstance(value, dict) else indices(value)


def _supercell(value: Any) -> Any:
    def whole(row: Any) -> bool:
        return (
            isinstance(row, list) and len(row) == 2 and all(type(x) is int and abs(x) <= _MOST_REPEATS for x in row)
        )

    if whole(value) and min(value) >= 1:
        return tuple(value)
    if isinstance(value, list) and len(value) == 2 and all(whole(row) for row in value):
        return tuple(tuple(row) for row in value)
    raise ValueError(
        f"{value!r} is no supercell; give two repeats of 1 to {_MOST_REPEATS}, or a 2x2 matrix of whole numbers"
    )


def _gap(value: Any) -> Any:
    return tuple(_one_gap(one) for one in value) if isinstance(value, list) else _one_gap(value)


def _one_gap(value: Any) -> float | None:
    if value == "auto" or value is None:
        return None
    gap = parse_quantity(value, "length")
    if not 0.3 <= gap <= 20:
        raise ValueError(f"a gap of {gap:g} Å; give auto or 0.3 to 20 Å")
    return gap


def _shift(value: Any) -> Any:
    def pair(given: Any) -> bool:
        numbers = isinstance(given, list) and len(given) == 2 and all(type(x) in (int, float) for x in given)
        return numbers and all(math.isfinite(x) for x in given)

    if value in ("auto", "all", None):
        return "all" if value == "all" else None
    if pair(value):
        return float(value[0]), float(value[1])
    if isinstance(value, list) and value and all(pair(one) or one == "auto" for one in value):
        return tuple(None if one == "auto" else (float(one[0]), float(one[1])) for one in value)
    raise ValueError(f"shift: {value!r}; give auto, all, [u, v] in fractions of the in-plane cell, or one each")


class InterfacesSpec(Spec):
    """How blocks meet, interface by interface from the bottom up."""

    gap: Annotated[Any, reading(_gap)] = None
    shift: Annotated[Any, reading(_shift)] = None
    termination: list[str | None] = Field(default=[])
    surfaces: tuple[str | None, str | None] = (None, None)

    @field_validator("termination", mode="before")
    @classmethod
    def _automatic(cls, value: Any) -> Any:
        return [None if one == "auto" else one for one in as_list(value)]

    @field_validator("surfaces", mode="before")
    @classmethod
    def _two_planes(cls, value: Any) -> Any:
        two = isinstance(value, list) and len(value) == 2
        if not (two and all(one is None or isinstance(one, str) for one in value)):
            raise ValueError(f"{value!r}; give the lowest and the highest plane, [SrO, AlO2], or auto for either")
        return tuple(None if one == "auto" else one for one in value)

    def resolve(self) -> Interfaces:
        """Return what the builder takes; `shift: all` is left to the caller."""
        shift = None if self.shift == "all" else self.shift
        return Interfaces(self.gap, shift, tuple(self.termination), self.surfaces)


class MatchSpec(Spec):
    """Limits for lattices that do not correspond vector by vector."""

    strain: Annotated[float, Field(gt=0, le=0.25)] = 0.05
    area: Annotated[float, Field(gt=0, le=2000)] = 200.0
    candidate: Annotated[int, Field(ge=1, strict=True)] = 1

    @field_validator("strain", mode="before")
    @classmethod
    def _percent(cls, value: Any) -> Any:
        found = re.fullmatch(r"\s*([\d.]+)\s*%\s*", str(value))
        return float(found[1]) / 100 if found else value

    def resolve(self) -> MatchLimits:
        """Return what the builder takes."""
        return MatchLimits(self.strain, self.area, self.candidate)


def _tilt(value: Any) -> Tilt:
    if isinstance(value, str):
        return parse_tilt(value)
    if not isinstance(value, dict) or set(value) - {"glazer", "angle"} or "glazer" not in value:
        raise ValueError(f"{value!r}; write a tilt as a-a-c+, or as {{glazer: a-a-c+, angle: 10}} in degrees")
    angle = value.get("angle", 8.0)
    several = isinstance(angle, list) and len(angle) == 3
    numbers = angle if several else [angle]
    if not all(type(x) in (int, float) and math.isfinite(x) for x in numbers):
        raise ValueError(f"angle: {angle!r}; give degrees, or three of them")
    glazer = str(value["glazer"])
    if several:
        a, b, c = map(float, angle)
        return parse_tilt(glazer, (a, b, c))
    return parse_tilt(glazer, float(angle))


def _poisson(value: Any) -> Any:
    def ratio(given: Any) -> float:
        if type(given) not in (int, float) or not -1 < given <= 0.5:
            raise ValueError(f"{given!r} is no Poisson ratio; give a number of 0 to 0.5")
        return float(given)

    if value is None:
        return None
    return {name: ratio(given) for name, given in value.items()} if isinstance(value, dict) else ratio(value)


class LayersOf(Spec):
    """Named layers of one material, or a place such as ``interface``."""

    material: str
    layers: Annotated[list[Annotated[int, Field(ge=1)]], BeforeValidator(as_list), Field(min_length=1)] | None = None


def _where(value: Any) -> Any:
    if isinstance(value, str):
        if value not in PLACES:
            raise ValueError(f"'{value}'{did_you_mean(value, PLACES)}, or {{material: …, layers: […]}}")
        return {"material": value}
    return value


class DefectSpec(Spec):
    """A point defect or a complex beside the pristine structure; a place stands for a material in `where`."""

    kind: Annotated[list[str], BeforeValidator(as_list), Field(min_length=1)]
    where: Annotated[LayersOf, BeforeValidator(_where)] = LayersOf(material="interface")
    along: tuple[float, float, float] | None = None
    charge: Annotated[
        list[Annotated[int, Field(ge=-20, le=20, strict=True)]], BeforeValidator(as_list), Field(min_length=1)
    ] = Field(default=[0])

    @model_validator(mode="after")
    def _layers_of_a_material(self) -> DefectSpec:
        if self.where.material in PLACES and self.where.layers is not None:
            raise ValueError(f"layers: are those of a material, not of {self.where.material}")
        return self

    @model_validator(mode="after")
    def _direction_of_several(self) -> DefectSpec:
        if self.along is not None and len(self.kind) == 1:
            raise ValueError(f"along is the direction of a complex; {self.kind[0]} is a single defect")
        return self


class StackSpec(Spec):
    """What decides a pristine structure."""

    stack: Annotated[list[BlockSpec], Field(min_length=1)]
    normal: Annotated[tuple[MillerIndex, ...] | dict[str, tuple[MillerIndex, ...]], reading(_normal)] = (0, 0, 1)
    in_plane: str | Length | None = None
    supercell: Annotated[Supercell, reading(_supercell)] = (
        1,
        1,
    )
    vacuum: Annotated[float, BeforeValidator(lambda v: parse_quantity(v, "length")), Field(ge=0, le=200)] = 0.0
    symmetric: bool = False
    interfaces: InterfacesSpec = InterfacesSpec()
    tilts: dict[str, Annotated[Any, reading(_tilt)]] = Field(default={})
    poisson: Annotated[float | dict[str, float] | None, reading(_poisson)] = None
    match: MatchSpec = MatchSpec()
    defects: list[DefectSpec] = Field(default=[])

    @field_validator("in_plane", mode="before")
    @classmethod
    def _number_or_name(cls, value: Any) -> Any:
        if value is None or (isinstance(value, str) and not re.match(r"[-+]?[\d.]", value)):
            return value
        length = parse_quantity(value, "length")
        if not length > 0:
            raise ValueError(f"{value!r} is no lattice constant; give a material, mean, or a number of Å")
        return length

    @model_validator(mode="after")
    def _first_block_leads(self) -> StackSpec:
        if any(block.same for block in self.stack) and self.stack[0].thickness is None:
            raise ValueError("thickness: same is that of the first block, which has none; give it a thickness")
        return self
