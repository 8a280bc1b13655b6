"""The cutoff, k-mesh, smearing, layers, vacuum of the ``converge`` section."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from heterodft.analysis.tolerances import QUANTITIES, Tolerance
from heterodft.units import RYDBERG, parse_quantity
from heterodft.workflows.fields import Name, Spec, as_list, form, one_or_more, reading

if TYPE_CHECKING:
    from heterodft.units import Dimension

__all__ = ["AXES", "Axis", "ConvergenceSpec", "CutoffSpec", "LayersSpec", "SmearingSpec", "SpacingSpec", "VacuumSpec"]

_MOST_POINTS = 50
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Axis:
    """What is varied.

    Attributes
    ----------
    dimension
        Of its values; None of a count.
    key
        Of the campaign file, which the recommended value is for.
    finer
        1 where larger values are finer, -1 where smaller ones are.
    lowest, highest
        Possible values.
    """

    dimension: Dimension | None
    key: str
    finer: Literal[1, -1]
    lowest: float
    highest: float


AXES: dict[str, Axis] = {
    "cutoff": Axis("energy", "method.cutoff", 1, 100.0, 1000 * RYDBERG),
    "kspacing": Axis("inverse length", "method.kspacing", -1, 0.005, 5.0),
    "smearing": Axis("energy", "method.smearing_width", -1, 1e-5, 2.0),
    "layers": Axis(None, "layers", 1, 1, 1000),
    "vacuum": Axis("length", "vacuum", 1, 1.0, 200.0),
}


def _tolerances(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, dict) or not value:
        raise ValueError(f"{value!r}; give quantities and how much they may change, {{energy: 1 meV/atom}}")
    return tuple(Tolerance.read(str(quantity), tolerance) for quantity, tolerance in value.items())


Value = Annotated[Any, form(type=["number", "string", "null"])]
_TOLERANCES: dict[str, Any] = {
    "anyOf": [
        {
            "type": "object",
            "properties": {name: {"type": ["number", "string"]} for name in QUANTITIES},
            "additionalProperties": False,
            "minProperties": 1,
        },
        {"type": "null"},
    ]
}


class ConvergenceSpec(Spec):
    """A range of one number, and how much each quantity may change from one point to the next.

    What is not given follows from the kind of number and from the campaign, see `for_kind`.
    """

    kind: ClassVar[str] = ""

    start: Value = Field(default=None, description="First, coarsest value; that of the kind by default")
    stop: Value = Field(default=None, description="Last, finest value; that of the kind by default")
    step: Value = Field(default=None, description="Distance of two values; that of the kind by default")
    factor: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Ratio of two values, in place of step"
    )
    values: Annotated[list[Value], BeforeValidator(as_list), one_or_more] | None = Field(
        default=None, description="List of values from coarse to fine, in place of a range"
    )
    quantities: Annotated[Any, reading(_tolerances), form(**_TOLERANCES)] = Field(
        default=None,
        description="How much each quantity may change from one value to the next",
        examples=[{"energy": "1 meV/atom"}],
    )
    agree: Annotated[int, Field(ge=2, le=10, strict=True)] = Field(
        default=2, description="Values in a row that must agree"
    )
    structures: Annotated[list[Name], BeforeValidator(as_list), Field(min_length=1), one_or_more] | None = Field(
        default=None, description="Structures to look at; the smallest pristine one by default"
    )
    orders: Annotated[list[str], BeforeValidator(as_list), Field(min_length=1), one_or_more] | None = Field(
        default=None, description="Orders to look at; those of the campaign by default"
    )
    start_from: Literal["previous", "scratch"] | None = Field(
        default=None, description="Density that a value starts from"
    )
    material: str | None = Field(default=None, description="Material whose layers are varied; all by default")

    @field_validator("start", "stop", mode="before")
    @classmethod
    def _value(cls, value: Any) -> Any:
        return value if value is None or not cls.kind else _read(cls.kind, value)

    @field_validator("step", mode="before")
    @classmethod
    def _step(cls, value: Any) -> Any:
        if value is None or not cls.kind:
            return value
        step = _number(cls.kind, value)
        if not step > 0:
            raise ValueError(f"a step of {value} never gets to the end; give the distance of two points, above 0")
        return step

    @field_validator("values", mode="after")
    @classmethod
    def _list(cls, values: Any) -> Any:
        return values if values is None or not cls.kind else [_read(cls.kind, value) for value in values]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind:
            _refuse_both(self)
            _refuse_backwards(self)
        return self

    @property
    def points(self) -> list[float]:
        """The values from coarse to fine, in eV, Å, 1/Å or a count; of a spec with a whole range."""
        if self.values is not None:
            return list(self.values)
        return _range(self.start, self.stop, self.step, self.factor, AXES[self.kind].finer)

    @property
    def tolerances(self) -> tuple[Tolerance, ...] | None:
        """Of the quantities that are given; None where none is."""
        found: tuple[Tolerance, ...] | None = self.quantities
        return found


class CutoffSpec(ConvergenceSpec):
    """Of ``method: cutoff``."""

    kind = "cutoff"


class SpacingSpec(ConvergenceSpec):
    """Of ``method: kspacing``."""

    kind = "kspacing"


class SmearingSpec(ConvergenceSpec):
    """Of ``method: smearing_width``."""

    kind = "smearing"


class LayersSpec(ConvergenceSpec):
    """Of the layers of the blocks, or of those of one material."""

    kind = "layers"


class VacuumSpec(ConvergenceSpec):
    """Of the vacuum of slabs."""

    kind = "vacuum"


def _number(kind: str, value: Any) -> float:
    dimension = AXES[kind].dimension
    if dimension is not None:
        return parse_quantity(value, dimension)
    if type(value) is not int:
        raise ValueError(f"{value!r} is no number of layers; give a whole number")
    return value


def _read(kind: str, value: Any) -> float:
    axis, number = AXES[kind], _number(kind, value)
    if kind == "cutoff" and 0 < number < axis.lowest:
        meant = f"; was {value} Ry meant?" if isinstance(value, int | float) else "; give at least 100 eV"
        raise ValueError(f"a cutoff of {number:g} eV is too low for any pseudopotential{meant}")
    if not axis.lowest <= number <= axis.highest:
        raise ValueError(f"{kind} of {value}; give one between {axis.lowest:g} and {axis.highest:g}")
    return number


def _refuse_both(spec: ConvergenceSpec) -> None:
    given = [key for key in ("start", "stop", "step", "factor") if getattr(spec, key) is not None]
    if spec.values is not None and given:
        raise ValueError(f"values and {given[0]} both set the points; give one of them")
    if spec.step is not None and spec.factor is not None:
        raise ValueError("step and factor both set the next point; give one of them")
    if spec.factor is not None and (spec.factor - 1) * AXES[spec.kind].finer <= 0:
        side = "above" if AXES[spec.kind].finer == 1 else "below"
        raise ValueError(f"a factor of {spec.factor:g} does not get finer; give one {side} 1")
    if spec.material is not None and spec.kind != "layers":
        raise ValueError(f"material is whose layers are varied; it means nothing to {spec.kind}")
    if spec.start_from == "previous" and spec.kind in ("layers", "vacuum"):
        raise ValueError(f"start_from: previous; a density of another cell is of no use to {spec.kind}, leave it out")


def _refuse_backwards(spec: ConvergenceSpec) -> None:
    finer = AXES[spec.kind].finer
    way = "rises" if finer == 1 else "falls"
    if spec.start is not None and spec.stop is not None and (spec.stop - spec.start) * finer <= 0:
        raise ValueError(f"the range goes backwards: {spec.kind} {way} from start to stop, from coarse to fine")
    if spec.values is not None and any((b - a) * finer <= 0 for a, b in pairwise(spec.values)):
        raise ValueError(f"the values go backwards: {spec.kind} {way}, from coarse to fine, each value once")
    if spec.values is not None and len(spec.values) < 2:
        raise ValueError("a single value agrees with nothing; give at least two")
    whole = None not in (spec.start, spec.stop) and (spec.step is not None or spec.factor is not None)
    if whole and len(spec.points) < 2:
        raise ValueError("the range holds a single value, which agrees with nothing; make the step smaller")


def _range(start: float, stop: float, step: float | None, factor: float | None, finer: int) -> list[float]:
    """Return the values from start, the last one not beyond stop by more than rounding.

    Raises
    ------
    ValueError
        If there are too many.
    """
    found: list[float] = []
    for number in range(_MOST_POINTS + 1):
        value = start + finer * number * step if step is not None else start * (factor or 1.0) ** number
        if (value - stop) * finer > _ROUNDING * abs(stop):
            return found
        found.append(round(value, 10) if step is None else value)
    raise ValueError(f"the range holds more than {_MOST_POINTS} points; make the step larger")


_DEFAULTS: dict[str, tuple[Any, Any, str, Any]] = {
    "cutoff": ("40 Ry", "120 Ry", "step", "10 Ry"),
    "kspacing": (0.5, 0.1, "factor", 0.8),
    "smearing": ("0.04 Ry", "0.0025 Ry", "factor", 0.5),
    "layers": (2, 8, "step", 1),
    "vacuum": ("8 Å", "24 Å", "step", "4 Å"),
}
"""Start, stop, and the way to the next point. A cutoff of VASP's PAW is lower, see `for_kind`."""
_VASP_CUTOFF = ("350 eV", "800 eV", "step", "50 eV")
_SPECS = {spec.kind: spec for spec in (CutoffSpec, SpacingSpec, SmearingSpec, LayersSpec, VacuumSpec)}


def for_kind(spec: ConvergenceSpec | None, kind: str, code: str) -> ConvergenceSpec:
    """Return what is asked for with a whole range: what is not given is that of the kind.

    Raises
    ------
    ValueError
        If what is given and the rest make no range.
    """
    given = {} if spec is None else {key: getattr(spec, key) for key in spec.model_fields_set}
    tolerances = given.pop("quantities", None)
    start, stop, way, size = _VASP_CUTOFF if (kind, code) == ("cutoff", "vasp") else _DEFAULTS[kind]
    if given.get("values") is None:
        given["start"] = given.get("start") if given.get("start") is not None else start
        given["stop"] = given.get("stop") if given.get("stop") is not None else _beyond(kind, given["start"], stop)
        if given.get("step") is None and given.get("factor") is None:
            given[way] = size
    found = _SPECS[kind].model_validate(given)
    return found.model_copy(update={"quantities": tolerances})


def _beyond(kind: str, start: Any, stop: Any) -> Any:
    """Return the default stop, or twice as fine as the start where that is already beyond it."""
    first, last, finer = _read(kind, start), _read(kind, stop), AXES[kind].finer
    if (last - first) * finer > 0:
        return stop
    return first * 2 if finer == 1 else first / 2
