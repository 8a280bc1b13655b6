"""How it is computed: the method of a campaign, of a structure and of a step, in the words of its file."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, field_validator, model_validator

from heterodft.errors import did_you_mean
from heterodft.templates.protocols import PROTOCOLS
from heterodft.units import RYDBERG, parse_quantity
from heterodft.workflows.fields import Divisions, Energy, Force, Spacing, Spec, form, quantity_form, reading

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

__all__ = ["Cutoffs", "MethodSpec", "NumbersSpec", "RawSettings", "Step", "StepSpec"]

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


_CUTOFF = quantity_form("energy", minimum=_LOWEST_CUTOFF)
_CUTOFFS: dict[str, Any] = {
    "anyOf": [
        *_CUTOFF["anyOf"],
        {"type": "object", "properties": dict.fromkeys(CODES, _CUTOFF), "additionalProperties": False},
        {"type": "null"},
    ]
}
_SETTING: dict[str, Any] = {"type": ["number", "string", "boolean"]}
_RAW: dict[str, Any] = {
    "type": "object",
    "properties": {"force": {"type": "object", "additionalProperties": _SETTING}},
    "additionalProperties": _SETTING,
}


class NumbersSpec(Spec):
    """What overrides the numbers of the protocol; `espresso` and `vasp` hold raw settings of pw.x and VASP."""

    cutoff: Annotated[Any, reading(_cutoffs), form(**_CUTOFFS)] = Field(
        default=None,
        description="Wavefunction cutoff, eV, of both codes or of each; default: the protocol's",
        examples=["60 Ry"],
    )
    density_cutoff: Annotated[Energy, Field(le=10000 * RYDBERG)] | None = Field(
        default=None, description="Density cutoff of pw.x, eV; four times the cutoff by default", examples=["240 Ry"]
    )
    kspacing: Spacing | None = Field(
        default=None,
        description="Distance of k-points including 2π, 1/Å; default: the protocol's",
        examples=[0.25],
    )
    kpoints: tuple[Divisions, Divisions, Divisions] | None = Field(
        default=None, description="Mesh of k-points, in place of kspacing; none by default", examples=[[4, 4, 2]]
    )
    shift_mesh: bool | None = Field(
        default=None,
        description="Whether even divisions are shifted by half a step; default: the protocol's",
        examples=[True],
    )
    smearing: Literal["cold", "gaussian", "fermi-dirac", "methfessel-paxton"] | None = Field(
        default=None, description="Kind of smearing; default: the protocol's", examples=["cold"]
    )
    smearing_width: Annotated[Energy, Field(le=2)] | None = Field(
        default=None, description="Width of the smearing, eV; default: the protocol's", examples=["0.01 Ry"]
    )
    scf_tolerance: Annotated[Energy, Field(le=1)] | None = Field(
        default=None,
        description="When the SCF cycle is converged, eV an atom; default: the protocol's",
        examples=["1e-9 Ry"],
    )
    max_scf_steps: Annotated[int, Field(ge=1, le=10000, strict=True)] | None = Field(
        default=None,
        description="Iterations of the SCF cycle at most; default: the protocol's",
        examples=[200],
    )
    mixing: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="Fraction of the new density; default: the protocol's", examples=[0.3]
    )
    empty_bands: Annotated[float, Field(ge=0, le=20)] | None = Field(
        default=None,
        description="Empty bands as a fraction of the filled ones; default: the protocol's",
        examples=[0.2],
    )
    dos_energy_step: Annotated[Energy, Field(le=1)] | None = Field(
        default=None,
        description="Energy step of the density of states, eV; default: the protocol's",
        examples=["0.02 eV"],
    )
    spin_mixing: Annotated[float, Field(gt=0, le=2)] | None = Field(
        default=None,
        description="Fraction of the new spin density, of VASP; default: the protocol's",
        examples=[0.8],
    )
    screening: Literal["local", "none"] | None = Field(
        default=None,
        description="Mixing of slabs, whose charge sloshes into the vacuum; default: the protocol's",
        examples=["local"],
    )
    precision: Literal["normal", "accurate"] | None = Field(
        default=None, description="Grids of VASP; default: the protocol's", examples=["accurate"]
    )
    projectors: Literal["real", "reciprocal"] | None = Field(
        default=None,
        description="Where VASP applies its projectors; default: the protocol's",
        examples=["reciprocal"],
    )
    moment_tolerance: Annotated[float, Field(ge=0, le=5)] | None = Field(
        default=None,
        description="Moments this near may share one of the ten species of pw.x, μB; default: the protocol's",
        examples=[0.5],
    )
    force_tolerance: Annotated[Force, Field(le=10)] | None = Field(
        default=None,
        description="Largest force component of a relaxed structure, eV/Å; default: the protocol's",
        examples=[0.01],
    )
    max_ion_steps: Annotated[int, Field(ge=1, le=10000, strict=True)] | None = Field(
        default=None, description="Steps of a relaxation at most; default: the protocol's", examples=[100]
    )
    cell: Literal["fixed", "c", "full"] | None = Field(
        default=None,
        description="What a relaxation frees of the cell; c (its height) of superlattices, fixed of slabs by default",
        examples=["c"],
    )
    coarse_first: bool | None = Field(
        default=None,
        description="Whether to relax on a coarse mesh first; default: the protocol's",
        examples=[True],
    )
    path_spacing: Spacing | None = Field(
        default=None,
        description="Distance of k-points on the path of the bands, 1/Å; default: the protocol's",
        examples=[0.03],
    )
    dipole: bool | None = Field(
        default=None,
        description="Dipole correction of slabs; where their two sides differ by default",
        examples=[True],
    )
    qpoints: tuple[Divisions, Divisions, Divisions] | None = Field(
        default=None, description="q-mesh of the response step; one q-point by default", examples=[[2, 2, 2]]
    )
    response_tolerance: Annotated[float, Field(gt=0, le=0.1)] | None = Field(
        default=None,
        description="Change of a response at which hp.x is converged, 1/eV; default: the protocol's",
        examples=[1e-05],
    )
    espresso: Annotated[RawSettings, reading(_raw), form(**_RAW)] = Field(
        default=RawSettings(),
        description="Raw settings of pw.x, as they are; under force: also those that contradict the request",
        examples=[{"nosym": True}],
    )
    vasp: Annotated[RawSettings, reading(_raw), form(**_RAW)] = Field(
        default=RawSettings(),
        description="Raw settings of VASP, as they are; under force: also those that contradict the request",
        examples=[{"NCORE": 4}],
    )

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

    xc: Literal["PBE", "PBEsol"] | None = Field(
        default=None, description="Functional; PBE by default", examples=["PBE"]
    )
    protocol: Annotated[str | None, form(enum=[*PROTOCOLS, None])] = Field(
        default=None,
        description="Table that numbers not given here are taken from; balanced by default",
        examples=["balanced"],
    )
    potcars: dict[str, str] = Field(
        default={},
        description="POTCAR by element, in place of pymatgen's choice; none by default",
        examples=[{"Ti": "Ti_sv"}],
    )

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
    if name != "relax" or not isinstance(method, dict) or "hubbard" not in method:
        return {"name": name, "method": method}
    if method["hubbard"] != "none":
        raise ValueError(f"hubbard: {method['hubbard']!r} of a relaxation; leave it out, or say none")
    return {"name": name, "method": {k: v for k, v in method.items() if k != "hubbard"}, "hubbard": "none"}


class StepSpec(Spec):
    """A step and the method values that hold for it alone; a relaxation may be one without U, for all values of U."""

    name: CampaignStep
    method: NumbersSpec = NumbersSpec()
    hubbard: Literal["none"] | None = None


class RelaxationNumbers(NumbersSpec):
    """What a relaxation may be given, as the JSON schema tells it; `StepSpec` keeps both parts."""

    hubbard: Literal["none"] | None = Field(
        default=None,
        description="none: relaxed without U, once for all values of U; with the U of each by default",
        examples=["none"],
    )


class _StepForm:
    """In the JSON schema, a step is its name or {name: {overrides of the method}}."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        names, numbers = get_args(CampaignStep), handler(NumbersSpec.__pydantic_core_schema__)
        steps = dict.fromkeys(names, numbers) | {"relax": handler(RelaxationNumbers.__pydantic_core_schema__)}
        one = {"type": "object", "properties": steps, "additionalProperties": False}
        return {"anyOf": [{"enum": [*names]}, one | {"minProperties": 1, "maxProperties": 1}]}


Step = Annotated[StepSpec, BeforeValidator(_step), _StepForm()]
