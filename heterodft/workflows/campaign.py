"""The campaign: which structures, orders, U, method and steps; the schema of its file."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    field_validator,
    model_validator,
)
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from heterodft.errors import CampaignError, did_you_mean
from heterodft.structures.magnetic_orders import ORDERS
from heterodft.templates.protocols import PROTOCOLS, StepName
from heterodft.units import RYDBERG, Dimension, parse_quantity

__all__ = [
    "BlockSpec",
    "Campaign",
    "DefectSpec",
    "LayersOf",
    "MagnetismSpec",
    "MaterialSpec",
    "MethodSpec",
    "NumbersSpec",
    "RunSpec",
    "StepSpec",
    "StructureSpec",
    "place_in_file",
]


def _quantity(dimension: Dimension) -> BeforeValidator:
    return BeforeValidator(lambda value: None if value is None else parse_quantity(value, dimension))


Energy = Annotated[float, _quantity("energy"), Field(gt=0)]
Length = Annotated[float, _quantity("length"), Field(gt=0)]
Spacing = Annotated[float, _quantity("inverse length"), Field(gt=0)]
Divisions = Annotated[int, Field(ge=1, le=60, strict=True)]
Repeats = Annotated[int, Field(ge=1, le=50, strict=True)]
MillerIndex = Annotated[int, Field(ge=-20, le=20, strict=True)]


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"expected a number, got {str(value).lower()}")
    return value


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)


class MaterialSpec(_Spec):
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


class BlockSpec(_Spec):
    """A run of one material; several layer numbers make a structure each."""

    material: str
    layers: Annotated[
        list[Annotated[int, Field(ge=1, le=1000, strict=True)]], BeforeValidator(_as_list), Field(min_length=1)
    ]


class LayersOf(_Spec):
    """Named layers of one material."""

    material: str
    layers: Annotated[list[Annotated[int, Field(ge=1)]], BeforeValidator(_as_list), Field(min_length=1)] | None = None


def _where(value: Any) -> Any:
    if isinstance(value, str):
        if value not in ("interface", "all"):
            raise ValueError(f"'{value}'{did_you_mean(value, ['interface', 'all'])}, or {{material: …, layers: […]}}")
        return {"material": value}
    return value


class DefectSpec(_Spec):
    """A point defect beside the pristine structure; ``interface`` and ``all`` stand for places in `where`."""

    kind: str
    where: Annotated[LayersOf, BeforeValidator(_where)] = LayersOf(material="interface")


class MagnetismSpec(_Spec):
    """Magnetic orders and starting moments (μB) by element."""

    orders: list[str] = Field(default=["NM"], min_length=1)
    moments: dict[str, Annotated[float, BeforeValidator(_no_truth), Field(ge=-20, le=20)]] = {}

    @field_validator("orders")
    @classmethod
    def _known(cls, orders: list[str]) -> list[str]:
        for order in orders:
            if order not in ORDERS:
                raise ValueError(f"unknown order '{order}'{did_you_mean(order, ORDERS)}")
        return orders


def _raw_value(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"{value!r} is no value of a setting of pw.x; give a number, a text, true or false")
    return value


RawValue = Annotated[Any, BeforeValidator(_raw_value)]


class NumbersSpec(_Spec):
    """What overrides the numbers of the protocol; `espresso` holds raw settings of pw.x."""

    cutoff: Annotated[Energy, Field(le=1000 * RYDBERG)] | None = None
    density_cutoff: Annotated[Energy, Field(le=10000 * RYDBERG)] | None = None
    kspacing: Spacing | None = None
    kpoints: tuple[Divisions, Divisions, Divisions] | None = None
    shift_mesh: bool | None = None
    smearing: Literal["cold", "gaussian", "fermi-dirac", "methfessel-paxton"] | None = None
    smearing_width: Annotated[Energy, Field(le=10)] | None = None
    scf_tolerance: Annotated[Energy, Field(le=1)] | None = None
    max_scf_steps: Annotated[int, Field(ge=1, le=10000, strict=True)] | None = None
    mixing: Annotated[float, Field(gt=0, le=1)] | None = None
    empty_bands: Annotated[float, Field(ge=0, le=20)] | None = None
    dos_energy_step: Annotated[Energy, Field(le=1)] | None = None
    espresso: dict[str, RawValue] = {}

    @model_validator(mode="after")
    def _one_mesh(self) -> Self:
        if self.kspacing is not None and self.kpoints is not None:
            raise ValueError("kspacing and kpoints both set the mesh; give one of them")
        return self

    def overrides(self) -> dict[str, Any]:
        """Return what is given here, in the words of `resolve_settings`."""
        given = self.model_dump(exclude_none=True, exclude={"xc", "protocol", "espresso"})
        return given | ({"raw": self.espresso} if self.espresso else {})


class MethodSpec(NumbersSpec):
    """Functional, protocol and what overrides its numbers."""

    xc: Literal["PBE", "PBEsol"] | None = None
    protocol: str | None = None

    @field_validator("protocol")
    @classmethod
    def _known(cls, protocol: str | None) -> str | None:
        if protocol is not None and protocol not in PROTOCOLS:
            raise ValueError(f"unknown protocol '{protocol}'{did_you_mean(protocol, PROTOCOLS)}")
        return protocol


def _step(value: Any) -> Any:
    names = get_args(StepName)
    if not isinstance(value, str) and not (isinstance(value, dict) and len(value) == 1):
        raise ValueError("write a step as its name, or as {name: {overrides of the method}}")
    name, method = (value, {}) if isinstance(value, str) else next(iter(value.items()))
    if name not in names:
        raise ValueError(f"unknown step '{name}'{did_you_mean(str(name), names)}")
    return {"name": name, "method": method}


class StepSpec(_Spec):
    """A step and the method values that hold for it alone."""

    name: StepName
    method: NumbersSpec = NumbersSpec()


Step = Annotated[StepSpec, BeforeValidator(_step)]
Scan = Annotated[list[Annotated[float, BeforeValidator(_no_truth)]], BeforeValidator(_as_list), Field(min_length=1)]


class StructureSpec(_Spec):
    """A stack, its defects, and what differs from the campaign for it."""

    stack: Annotated[list[BlockSpec], Field(min_length=1)]
    normal: Annotated[tuple[MillerIndex, ...], Field(min_length=3, max_length=4)] = (0, 0, 1)
    in_plane: str | Length | None = None
    supercell: tuple[Repeats, Repeats] = (1, 1)
    defects: list[DefectSpec] = []
    magnetism: MagnetismSpec | None = None
    hubbard: dict[str, Scan] | None = None
    method: MethodSpec | None = None
    steps: Annotated[list[Step], Field(min_length=1)] | None = None

    @field_validator("in_plane", mode="before")
    @classmethod
    def _number_or_name(cls, value: Any) -> Any:
        return parse_quantity(value, "length") if re.match(r"[-+]?[\d.]", str(value)) else value


def _not_reserved(name: str) -> str:
    if name in ("workers", "queue.sqlite"):
        raise ValueError(f"'{name}' is a name of our own in the folder of runs; choose another")
    return name


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"), AfterValidator(_not_reserved)]


class RunSpec(_Spec):
    """How to run, usually kept in the settings file instead."""

    command: str | None = None


class Campaign(_Spec):
    """A campaign file."""

    name: Name
    code: Literal["espresso"] = "espresso"
    materials: Annotated[dict[str, MaterialSpec], Field(min_length=1)]
    structures: Annotated[dict[Name, StructureSpec], Field(min_length=1)]
    magnetism: MagnetismSpec = MagnetismSpec()
    hubbard: dict[str, Scan] = {}
    method: MethodSpec = MethodSpec()
    steps: Annotated[list[Step], Field(min_length=1)]
    run: RunSpec = RunSpec()

    _path: Path = PrivateAttr(default=Path("campaign.yaml"))
    _lines: Any = PrivateAttr(default=None)

    @property
    def folder(self) -> Path:
        """Folder of the file, which relative paths in it are relative to."""
        return self._path.parent

    def error(self, where: tuple[str | int, ...], message: str) -> CampaignError:
        """Return an error that names the file, the line and the key."""
        return CampaignError(f"{place_in_file(self._path, self._lines, where)}: {message}")


def place_in_file(path: Path, document: Any, where: tuple[str | int, ...]) -> str:
    """Return ``file:line: key.key``, following the keys as far as the document has them."""
    node: Any = document
    line = None
    for part in where:
        if isinstance(node, CommentedMap) and part in node:
            line = node.lc.key(part)[0] + 1
        elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
            line = node.lc.item(part)[0] + 1
        else:
            break
        node = node[part]
    keys = ".".join(str(part) for part in where)
    return f"{path}{f':{line}' if line else ''}{f': {keys}' if keys else ''}"
