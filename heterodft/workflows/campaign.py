"""The campaign: which structures, orders, U, method and steps; the schema of its file."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, field_validator, model_validator
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from heterodft.errors import CampaignError, did_you_mean
from heterodft.templates.protocols import PROTOCOLS
from heterodft.units import RYDBERG, parse_quantity
from heterodft.workflows.converge_spec import ConvergeSpec
from heterodft.workflows.fields import Divisions, Energy, Force, Name, Spacing, Spec, reading
from heterodft.workflows.hubbard_spec import Scan
from heterodft.workflows.magnetism_spec import MagnetismSpec
from heterodft.workflows.published_spec import PublishedSpec
from heterodft.workflows.structure_spec import MaterialSpec, StackSpec

__all__ = [
    "Campaign",
    "MethodSpec",
    "NumbersSpec",
    "RawSettings",
    "RunSpec",
    "StepSpec",
    "StructureSpec",
    "place_in_file",
]

CODES = ("espresso", "vasp")
_LOWEST_CUTOFF, _HIGHEST_CUTOFF = 100.0, 1000 * RYDBERG


def _raw_value(key: str, value: Any) -> Any:
    if not isinstance(value, bool | int | float | str) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"{key}: {value!r} is no value of a setting; give a number, a text, true or false")
    if any(not char.isprintable() for text in (key, value) if isinstance(text, str) for char in text):
        raise ValueError(f"{key!r}: {value!r}; a raw setting is one line")
    return _from_fortran(value) if isinstance(value, str) else value


def _from_fortran(text: str) -> Any:
    """Read ``.true.`` and ``1d-5``, which YAML takes for texts, as what the codes take them for."""
    word = text.strip().lower()
    if word in (".true.", ".false.", ".t.", ".f."):
        return word[1] == "t"
    number = re.fullmatch(r"([-+]?(?:\d+\.?\d*|\.\d+))d([-+]?\d+)", word)
    return float(f"{number[1]}e{number[2]}") if number else text


def _raw(value: Any) -> RawSettings:
    """Read raw settings; those under ``force`` may contradict the request."""
    if not isinstance(value, dict):
        raise ValueError(f"{value!r}; give raw settings as {{KEY: VALUE}}")
    forced = value.get("force", {})
    if not isinstance(forced, dict):
        raise ValueError(f"force: {forced!r}; give raw settings as {{KEY: VALUE}}")
    return RawSettings(
        {str(key): _raw_value(key, one) for key, one in value.items() if key != "force"},
        {str(key): _raw_value(key, one) for key, one in forced.items()},
    )


@dataclass(frozen=True)
class RawSettings:
    """Settings handed to a DFT code as they are, and those that may contradict the request."""

    plain: dict[str, Any] = field(default_factory=dict)
    forced: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cutoffs:
    """A cutoff for each code, eV; their pseudopotentials differ in hardness."""

    espresso: float | None = None
    vasp: float | None = None


def _cutoffs(value: Any) -> Cutoffs | None:
    """Read one cutoff as that of both codes, or one for each: ``{espresso: 60 Ry, vasp: 520 eV}``."""
    if value is None:
        return None
    by_code = value if isinstance(value, dict) else dict.fromkeys(CODES, value)
    for code in by_code:
        if code not in CODES:
            raise ValueError(f"unknown code '{code}'{did_you_mean(str(code), CODES)}")
    return Cutoffs(**{code: _cutoff(one) for code, one in by_code.items()})


def _cutoff(value: Any) -> float:
    cutoff = parse_quantity(value, "energy")
    if 0 < cutoff < _LOWEST_CUTOFF:
        meant = f"; was {value} Ry meant?" if isinstance(value, int | float) else "; give at least 100 eV"
        raise ValueError(f"a cutoff of {cutoff:g} eV is too low for any pseudopotential{meant}")
    if not 0 < cutoff <= _HIGHEST_CUTOFF:
        raise ValueError(f"a cutoff of {value}; give one greater than 0 and less than or equal to 1000 Ry")
    return cutoff


class NumbersSpec(Spec):
    """What overrides the numbers of the protocol; `espresso` and `vasp` hold raw settings of pw.x and VASP."""

    cutoff: Annotated[Any, reading(_cutoffs)] = None
    density_cutoff: Annotated[Energy, Field(le=10000 * RYDBERG)] | None = None
    kspacing: Spacing | None = None
    kpoints: tuple[Divisions, Divisions, Divisions] | None = None
    shift_mesh: bool | None = None
    smearing: Literal["cold", "gaussian", "fermi-dirac", "methfessel-paxton"] | None = None
    smearing_width: Annotated[Energy, Field(le=2)] | None = None
    scf_tolerance: Annotated[Energy, Field(le=1)] | None = None
    max_scf_steps: Annotated[int, Field(ge=1, le=10000, strict=True)] | None = None
    mixing: Annotated[float, Field(gt=0, le=1)] | None = None
    empty_bands: Annotated[float, Field(ge=0, le=20)] | None = None
    dos_energy_step: Annotated[Energy, Field(le=1)] | None = None
    spin_mixing: Annotated[float, Field(gt=0, le=2)] | None = None
    screening: Literal["local", "none"] | None = None
    precision: Literal["normal", "accurate"] | None = None
    projectors: Literal["real", "reciprocal"] | None = None
    moment_tolerance: Annotated[float, Field(ge=0, le=5)] | None = None
    force_tolerance: Annotated[Force, Field(le=10)] | None = None
    max_ion_steps: Annotated[int, Field(ge=1, le=10000, strict=True)] | None = None
    cell: Literal["fixed", "c", "full"] | None = None
    coarse_first: bool | None = None
    path_spacing: Spacing | None = None
    dipole: bool | None = None
    qpoints: tuple[Divisions, Divisions, Divisions] | None = None
    response_tolerance: Annotated[float, Field(gt=0, le=0.1)] | None = None
    espresso: Annotated[RawSettings, reading(_raw)] = RawSettings()
    vasp: Annotated[RawSettings, reading(_raw)] = RawSettings()

    @model_validator(mode="after")
    def _one_mesh(self) -> Self:
        if self.kspacing is not None and self.kpoints is not None:
            raise ValueError("kspacing and kpoints both set the mesh; give one of them")
        return self

    def overrides(self, code: str) -> dict[str, Any]:
        """Return what is given here for a code, in the words of `resolve_settings`."""
        given = {key: getattr(self, key) for key in NumbersSpec.model_fields if key not in ("espresso", "vasp")}
        given["cutoff"] = getattr(self.cutoff, code, None)
        raw: RawSettings = getattr(self, code)
        spelled = str.lower if code == "espresso" else str.upper  # neither code minds; a later source must win
        for name, settings in (("raw", raw.plain), ("forced", raw.forced)):
            given[name] = {spelled(key): value for key, value in settings.items()} or None
        return {key: value for key, value in given.items() if value is not None}


class MethodSpec(NumbersSpec):
    """Functional, protocol and what overrides its numbers."""

    xc: Literal["PBE", "PBEsol"] | None = None
    protocol: str | None = None
    potcars: dict[str, str] = Field(default={})

    @field_validator("protocol")
    @classmethod
    def _known(cls, protocol: str | None) -> str | None:
        if protocol is not None and protocol not in PROTOCOLS:
            raise ValueError(f"unknown protocol '{protocol}'{did_you_mean(protocol, PROTOCOLS)}")
        return protocol


CampaignStep = Literal["relax", "static", "dos", "bands", "potential", "charge", "response"]


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


class StructureSpec(StackSpec):
    """A stack, its defects, and what differs from the campaign for it."""

    magnetism: MagnetismSpec | None = None
    hubbard: dict[str, Scan] | None = None
    method: MethodSpec | None = None
    steps: Annotated[list[Step], Field(min_length=1)] | None = None


class RunSpec(Spec):
    """How to run, usually kept in the settings file instead."""

    command: str | None = None


def _not_of_a_driver(name: str) -> str:
    campaign, _, kind = name.rpartition(".")
    if campaign and kind in ConvergeSpec.model_fields:
        raise ValueError(
            f"'{name}' is where heterodft converge keeps {kind} of a campaign {campaign}; choose another, "
            f"{campaign}-{kind}"
        )
    return name


class Campaign(Spec):
    """A campaign file."""

    name: Annotated[Name, AfterValidator(_not_of_a_driver)]
    code: Literal["espresso", "vasp"] = "espresso"
    materials: Annotated[dict[str, MaterialSpec], Field(min_length=1)]
    structures: Annotated[dict[Name, StructureSpec], Field(min_length=1)]
    magnetism: MagnetismSpec = MagnetismSpec()
    hubbard: dict[str, Scan] = Field(default={})
    method: MethodSpec = MethodSpec()
    steps: Annotated[list[Step], Field(min_length=1)]
    converge: ConvergeSpec = ConvergeSpec()
    run: RunSpec = RunSpec()
    published: PublishedSpec | None = None

    _path: Path = PrivateAttr(default=Path("campaign.yaml"))
    _lines: Any = PrivateAttr(default=None)

    @property
    def folder(self) -> Path:
        """Folder of the file, which relative paths in it are relative to."""
        return self._path.parent

    def for_code(self, code: str) -> Campaign:
        """Return the same campaign for another DFT code."""
        other = self.model_copy(update={"code": code})
        other._path, other._lines = self._path, self._lines
        return other

    def with_converge(self, converge: ConvergeSpec) -> Campaign:
        """Return the same campaign with other questions to drive."""
        other = self.model_copy(update={"converge": converge})
        other._path, other._lines = self._path, self._lines
        return other

    def error(self, where: tuple[str | int, ...], message: str) -> CampaignError:
        """Return an error that names the file, the line and the key."""
        return CampaignError(f"{place_in_file(self._path, self._lines, where)}: {message}".replace("\n", "\\n"))


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
