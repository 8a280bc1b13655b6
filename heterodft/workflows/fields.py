"""Kinds of values that the campaign file is made of: quantities with units, counts, names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from heterodft.units import Dimension, parse_quantity, quantity_pattern

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

__all__ = ["Divisions", "Energy", "Force", "Length", "MillerIndex", "Name", "Spacing", "Spec", "as_list", "form",
           "no_truth", "one_or_more", "or_nothing", "or_text", "or_word", "quantity_form", "reading"]  # fmt: skip


def form(**schema: Any) -> WithJsonSchema:
    """Return what the file may hold where a validator of our own reads it, as JSON schema."""
    return WithJsonSchema(schema)


def quantity_form(dimension: Dimension, **limits: Any) -> dict[str, Any]:
    """Return the JSON schema of a number with an optional unit; `limits` are those of the bare number."""
    return {"anyOf": [{"type": "number", **limits}, {"type": "string", "pattern": quantity_pattern(dimension)}]}


class _OneOrMore:
    """In the JSON schema, one value may stand for a list of one."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core)
        return {"anyOf": [schema["items"], schema]}


one_or_more = _OneOrMore()


class _OrText:
    """In the JSON schema, a text may stand for the value: the name of a file that holds it."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string"}, handler(core)]}


or_text = _OrText()


class _OrNothing:
    """In the JSON schema, a key may stand alone: all inside has a default."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [handler(core), {"type": "null"}]}


or_nothing = _OrNothing()


class or_word:  # noqa: N801, it stands among functions such as `reading`
    """In the JSON schema, one of some words may stand for the value."""

    def __init__(self, *words: str):
        self._words = words

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"enum": [*self._words]}, handler(core)]}


def _quantity(dimension: Dimension) -> BeforeValidator:
    return BeforeValidator(lambda value: None if value is None else parse_quantity(value, dimension))


_ABOVE_ZERO: dict[str, Any] = {"exclusiveMinimum": 0}
Energy = Annotated[float, _quantity("energy"), Field(gt=0), form(**quantity_form("energy", **_ABOVE_ZERO))]
Force = Annotated[float, _quantity("force"), Field(gt=0), form(**quantity_form("force", **_ABOVE_ZERO))]
Length = Annotated[float, _quantity("length"), Field(gt=0), form(**quantity_form("length", **_ABOVE_ZERO))]
Spacing = Annotated[
    float, _quantity("inverse length"), Field(gt=0), form(**quantity_form("inverse length", **_ABOVE_ZERO))
]
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
