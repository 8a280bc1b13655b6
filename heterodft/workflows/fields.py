"""Kinds of values that the campaign file is made of: quantities with units, counts, names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from heterodft.units import Dimension, parse_quantity

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Divisions", "Energy", "Force", "Length", "MillerIndex", "Name", "Spacing", "Spec", "as_list",
           "no_truth", "reading"]  # fmt: skip


def _quantity(dimension: Dimension) -> BeforeValidator:
    return BeforeValidator(lambda value: None if value is None else parse_quantity(value, dimension))


Energy = Annotated[float, _quantity("energy"), Field(gt=0)]
Force = Annotated[float, _quantity("force"), Field(gt=0)]
Length = Annotated[float, _quantity("length"), Field(gt=0)]
Spacing = Annotated[float, _quantity("inverse length"), Field(gt=0)]
Divisions = Annotated[int, Field(ge=1, le=60, strict=True)]
MillerIndex = Annotated[int, Field(ge=-20, le=20, strict=True)]


def as_list(value: Any) -> Any:
    """Return a single value as a list of one."""
    return value if isinstance(value, list) else [value]


def no_truth(value: Any) -> Any:
    """Refuse yes and no where a number is meant."""
    if isinstance(value, bool):
        raise ValueError(f"expected a number, got {str(value).lower()}")
    return value


def reading(function: Callable[[Any], Any]) -> BeforeValidator:
    """Return a validator that turns what the file holds into a value of our own."""
    return BeforeValidator(function)


def _not_reserved(name: str) -> str:
    if name in ("workers", "queue.sqlite"):
        raise ValueError(f"'{name}' is a name of our own in the folder of runs; choose another")
    return name


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"), AfterValidator(_not_reserved)]


class Spec(BaseModel):
    """Base of every part of the campaign file: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)
