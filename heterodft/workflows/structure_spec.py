"""Structures in the campaign file: materials, stacks, interfaces, tilts and defects."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from heterodft.errors import did_you_mean
from heterodft.structures import Interfaces, MatchLimits, Tilt, parse_tilt
from heterodft.structures.defect_sites import PLACES
from heterodft.units import parse_quantity
from heterodft.workflows.fields import (
    Length,
    MillerIndex,
    Spec,
    as_list,
    form,
    one_or_more,
    or_word,
    quantity_form,
    reading,
)

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

    prototype: str | None = Field(
        default=None, description="Structure type; that of the reference list by default", examples=["perovskite"]
    )
    a: Length | None = Field(
        default=None, description="Lattice constant, Å; that of the reference list by default", examples=[3.905]
    )
    c: Length | None = Field(
        default=None,
        description="Lattice constant along the axis, Å; that of the reference list by default",
        examples=[13.599],
    )
    u: float | None = Field(
        default=None,
        description="Inner parameter u of spinel or wurtzite; that of the reference list by default",
        examples=[0.38],
    )
    z_cation: float | None = Field(
        default=None,
        description="Inner parameter z of the cation of corundum; that of the reference list by default",
        examples=[0.3475],
    )
    x_anion: float | None = Field(
        default=None,
        description="Inner parameter x of the anion of corundum; that of the reference list by default",
        examples=[0.3058],
    )
    formula: str | None = Field(default=None, description="Formula, where the name is none", examples=["SrTiO3"])
    file: Path | None = Field(
        default=None, description="Structure file in place of a prototype", examples=["Cr2O3.cif"]
    )

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_the_reference(cls, value: Any) -> Any:
        """Take a name with nothing behind it, ``LaMnO3:``, as it is meant: all from the reference list."""
        return {} if value is None else value

    @model_validator(mode="after")
    def _file_or_prototype(self) -> MaterialSpec:
        others = sorted(self.model_fields_set - {"file"})
        if self.file is not None and others:
            raise ValueError(f"a file gives the whole cell; remove {', '.join(others)}")
        return self


_NUMBER: dict[str, Any] = {"type": "number"}
_PAIR: dict[str, Any] = {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}
Thickness = Annotated[Length, Field(le=2000)]

Layers = Annotated[int, Field(ge=1, le=1000, strict=True)]


class BlockSpec(Spec):
    """A run of one material; several numbers of layers, or thicknesses, make a structure each."""

    material: str = Field(description="Material of the block", examples=["SrTiO3"])
    layers: Annotated[list[Layers], BeforeValidator(as_list), Field(min_length=1), one_or_more] | None = Field(
        default=None, description="Number of layers; a list makes a structure each", examples=[2]
    )
    thickness: (
        Annotated[list[Thickness], BeforeValidator(as_list), Field(min_length=1), one_or_more, or_word("same")] | None
    ) = Field(
        default=None,
        description="Thickness, Å, rounded to whole layers; same goes with the first block",
        examples=["1.0 nm"],
    )
    same: SkipJsonSchema[Annotated[bool, Field(exclude=True)]] = False

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


_GAPS: list[dict[str, Any]] = [*quantity_form("length", minimum=0.3, maximum=20)["anyOf"], {"enum": ["auto", None]}]
_SHIFTS: dict[str, Any] = {
    "anyOf": [
        {"enum": ["auto", "all", None]},
        _PAIR,
        {"type": "array", "items": {"anyOf": [_PAIR, {"const": "auto"}]}, "minItems": 1},
    ]
}


class InterfacesSpec(Spec):
    """How blocks meet, interface by interface from the bottom up."""

    gap: Annotated[Any, reading(_gap), form(anyOf=[*_GAPS, {"type": "array", "items": {"anyOf": _GAPS}}])] = Field(
        default=None,
        description="Distance of the facing planes, Å; auto from the spacings of both materials",
        examples=["auto"],
    )
    shift: Annotated[Any, reading(_shift), form(**_SHIFTS)] = Field(
        default=None,
        description="In-plane shift in fractions of the cell; auto, or all inequivalent registries",
        examples=["auto"],
    )
    termination: Annotated[list[str | None], one_or_more] = Field(
        default=[], description="Facing planes below and above; whole layers by default", examples=[["TiO2/LaO"]]
    )
    surfaces: tuple[str | None, str | None] = Field(
        default=(None, None),
        description="Lowest and highest plane of a slab; whole layers by default",
        examples=[["SrO", "AlO2"]],
    )

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


_FRACTION: dict[str, Any] = {"type": "number", "exclusiveMinimum": 0, "maximum": 0.25}
_PERCENT: dict[str, Any] = {"type": "string", "pattern": r"^\s*[\d.]+\s*%?\s*$"}


class MatchSpec(Spec):
    """Limits for lattices that do not correspond vector by vector."""

    strain: Annotated[float, Field(gt=0, le=0.25), form(anyOf=[_FRACTION, _PERCENT])] = Field(
        default=0.05, description="Largest strain of lattices that do not correspond vector by vector"
    )
    area: Annotated[float, Field(gt=0, le=2000)] = Field(default=200.0, description="Largest in-plane area, Å²")
    candidate: Annotated[int, Field(ge=1, strict=True)] = Field(
        default=1, description="Which of the matches, the smallest cell first"
    )

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


_GLAZER: dict[str, Any] = {"type": "string"}
_TILT: dict[str, Any] = {
    "anyOf": [
        _GLAZER,
        {
            "type": "object",
            "properties": {
                "glazer": _GLAZER,
                "angle": {"anyOf": [_NUMBER, {"type": "array", "items": _NUMBER, "minItems": 3, "maxItems": 3}]},
            },
            "required": ["glazer"],
            "additionalProperties": False,
        },
    ]
}
_RATIO: dict[str, Any] = {"type": "number", "exclusiveMinimum": -1, "maximum": 0.5}
_POISSON: dict[str, Any] = {"anyOf": [_RATIO, {"type": "object", "additionalProperties": _RATIO}, {"type": "null"}]}


class LayersOf(Spec):
    """Named layers of one material, or a place such as ``interface``."""

    material: str = Field(description="Material of the layers", examples=["SrTiO3"])
    layers: (
        Annotated[list[Annotated[int, Field(ge=1)]], BeforeValidator(as_list), Field(min_length=1), one_or_more]
        | None
    ) = Field(
        default=None,
        description="Numbers of the layers within the block, 1 at the bottom; all by default",
        examples=[[1, 2]],
    )


def _where(value: Any) -> Any:
    if isinstance(value, str):
        if value not in PLACES:
            raise ValueError(f"'{value}'{did_you_mean(value, PLACES)}, or {{material: …, layers: […]}}")
        return {"material": value}
    return value


Charges = Annotated[
    list[Annotated[int, Field(ge=-20, le=20, strict=True)]],
    BeforeValidator(as_list),
    Field(min_length=1),
    one_or_more,
]


class DefectSpec(Spec):
    """A point defect or a complex beside the pristine structure; a place stands for a material in `where`."""

    kind: Annotated[list[str], BeforeValidator(as_list), Field(min_length=1), one_or_more] = Field(
        description="V_O a vacancy, Ti_Al an antisite or substitution, a list of them a complex", examples=["V_O"]
    )
    where: Annotated[LayersOf, BeforeValidator(_where), or_word(*PLACES)] = Field(
        default=LayersOf(material="interface"),
        description="Place of the defect: a plane beside an interface by default",
        examples=["interface"],
    )
    along: tuple[float, float, float] | None = Field(
        default=None, description="Direction of a complex in the crystal; any by default", examples=[[0, 0, 1]]
    )
    charge: Charges = Field(default=[0], description="Charge, e; several make a structure each")

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


Vacuum = Annotated[
    float,
    BeforeValidator(lambda v: parse_quantity(v, "length")),
    Field(ge=0, le=200),
    form(**quantity_form("length", minimum=0, maximum=200)),
]
_INDICES: dict[str, Any] = {
    "type": "array",
    "items": {"type": "integer", "minimum": -20, "maximum": 20},
    "minItems": 3,
    "maxItems": 4,
}
_NORMAL: dict[str, Any] = {"anyOf": [_INDICES, {"type": "object", "additionalProperties": _INDICES}]}


class StackSpec(Spec):
    """What decides a pristine structure."""

    stack: Annotated[list[BlockSpec], Field(min_length=1)] = Field(
        description="Blocks of one period, bottom to top", examples=[[{"material": "SrTiO3", "layers": 2}]]
    )
    normal: Annotated[
        tuple[MillerIndex, ...] | dict[str, tuple[MillerIndex, ...]], reading(_normal), form(**_NORMAL)
    ] = Field(default=(0, 0, 1), description="Miller indices along the stacking, for all blocks or by material")
    in_plane: str | Length | None = Field(
        default=None,
        description="Whose in-plane lattice all take: a material, mean, or Å; the first material by default",
        examples=["SrTiO3"],
    )
    supercell: Annotated[Supercell, reading(_supercell)] = Field(
        default=(1, 1), description="In-plane repeats, or a 2x2 matrix"
    )
    vacuum: Vacuum = Field(default=0.0, description="Vacuum above the stack, Å; above 0 makes a slab")
    symmetric: bool = Field(
        default=False, description="Of a slab: the first block in the middle, the others on both sides"
    )
    interfaces: InterfacesSpec = Field(
        default=InterfacesSpec(), description="How blocks meet; automatic by default", examples=[{"gap": "auto"}]
    )
    tilts: dict[str, Annotated[Any, reading(_tilt), form(**_TILT)]] = Field(
        default={},
        description="Octahedral rotations of perovskites (Glazer) by material; none by default",
        examples=[{"SrTiO3": "a0a0c-"}],
    )
    poisson: Annotated[float | dict[str, float] | None, reading(_poisson), form(**_POISSON)] = Field(
        default=None, description="Poisson ratio, of all or by material; constant volume by default", examples=[0.3]
    )
    match: MatchSpec = Field(
        default=MatchSpec(),
        description="Limits for lattices that do not correspond vector by vector",
        examples=[{"strain": 0.05}],
    )
    defects: list[DefectSpec] = Field(
        default=[],
        description="Point defects, each a structure beside the pristine one; none by default",
        examples=[[{"kind": "V_O", "where": "interface"}]],
    )
    pristine: bool = Field(
        default=True, description="With defects: whether the cell without them is a structure too", examples=[False]
    )

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

    @model_validator(mode="after")
    def _something_is_left(self) -> StackSpec:
        if not self.pristine and not self.defects:
            raise ValueError("pristine: false leaves nothing to compute; add defects or leave it out")
        return self
