"""The campaign: which structures, orders, U, method and steps; the schema of its file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, PrivateAttr, field_validator, model_validator
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from heterodft.errors import CampaignError, did_you_mean
from heterodft.templates.protocols import PROTOCOLS
from heterodft.units import RYDBERG
from heterodft.workflows.fields import Divisions, Energy, Force, Name, Spacing, Spec, as_list, no_truth
from heterodft.workflows.magnetism_spec import MagnetismSpec
from heterodft.workflows.structure_spec import MaterialSpec, StackSpec

__all__ = [
    "Campaign",
    "MethodSpec",
    "NumbersSpec",
    "RunSpec",
    "StepSpec",
    "StructureSpec",
    "place_in_file",
]


def _raw_value(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"{value!r} is no value of a setting of pw.x; give a number, a text, true or false")
    return value


RawValue = Annotated[Any, BeforeValidator(_raw_value)]


class NumbersSpec(Spec):
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
    force_tolerance: Annotated[Force, Field(le=10)] | None = None
    espresso: dict[str, RawValue] = Field(default={})

    @model_validator(mode="after")
    def _one_mesh(self) -> Self:
        if self.kspacing is not None and self.kpoints is not None:
            raise ValueError("kspacing and kpoints both set the mesh; give one of them")
        return self

    def overrides(self) -> dict[str, Any]:
        """Return what is given here, in the words of `resolve_settings`."""
        given = self.model_dump(exclude_none=True, exclude={"xc", "protocol", "espresso", "force_tolerance"})
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


CampaignStep = Literal["relax", "static", "dos", "bands"]


def _step(value: Any) -> Any:
    names = get_args(CampaignStep)
    if not isinstance(value, str) and not (isinstance(value, dict) and len(value) == 1):
        raise ValueError("write a step as its name, or as {name: {overrides of the method}}")
    name, method = (value, {}) if isinstance(value, str) else next(iter(value.items()))
    if name not in names:
        raise ValueError(f"unknown step '{name}'{did_you_mean(str(name), names)}")
    return {"name": name, "method": method}


class StepSpec(Spec):
    """A step and the method values that hold for it alone."""

    name: CampaignStep
    method: NumbersSpec = NumbersSpec()


Step = Annotated[StepSpec, BeforeValidator(_step)]
Scan = Annotated[list[Annotated[float, BeforeValidator(no_truth)]], BeforeValidator(as_list), Field(min_length=1)]


class StructureSpec(StackSpec):
    """A stack, its defects, and what differs from the campaign for it."""

    magnetism: MagnetismSpec | None = None
    hubbard: dict[str, Scan] | None = None
    method: MethodSpec | None = None
    steps: Annotated[list[Step], Field(min_length=1)] | None = None


class RunSpec(Spec):
    """How to run, usually kept in the settings file instead."""

    command: str | None = None


class Campaign(Spec):
    """A campaign file."""

    name: Name
    code: Literal["espresso", "vasp"] = "espresso"
    materials: Annotated[dict[str, MaterialSpec], Field(min_length=1)]
    structures: Annotated[dict[Name, StructureSpec], Field(min_length=1)]
    magnetism: MagnetismSpec = MagnetismSpec()
    hubbard: dict[str, Scan] = Field(default={})
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
