"""The linear response of the ``converge`` section: Hubbard U from hp.x or from finite shifts, and its own loop."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from heterodft.workflows.fields import Energy, Name, Spec, as_list, form, one_or_more, reading

__all__ = ["QMesh", "ResponseSpec"]

_MOST_DIVISIONS = 20

QMesh = int | tuple[int, int, int]
"""Divisions along the longest reciprocal vector, the others in proportion; or of each of the three."""


def _mesh(value: Any) -> QMesh:
    def divisions(n: Any) -> bool:
        return type(n) is int and 1 <= n <= _MOST_DIVISIONS

    if divisions(value):
        return int(value)
    if isinstance(value, list) and len(value) == 3 and all(map(divisions, value)):
        return int(value[0]), int(value[1]), int(value[2])
    raise ValueError(f"{value!r} is no q-mesh; give 1 to {_MOST_DIVISIONS} divisions, or three numbers of them")


def _meshes(value: Any) -> Any:
    if isinstance(value, list) and len(value) == 3 and all(type(one) is int and one == value[0] for one in value):
        raise ValueError(f"{value}: one mesh is written as [{value}]; a list of meshes goes from coarse to dense")
    return [_mesh(one) for one in as_list(value)]


_DIVISIONS: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": _MOST_DIVISIONS}
_QMESH: list[dict[str, Any]] = [
    _DIVISIONS,
    {"type": "array", "items": _DIVISIONS, "minItems": 3, "maxItems": 3},
]
_QMESHES: dict[str, Any] = {"anyOf": [_DIVISIONS, {"type": "array", "items": {"anyOf": _QMESH}, "minItems": 1}]}


class ResponseSpec(Spec):
    """What linear response is to find, and when it stops.

    Attributes
    ----------
    method
        ``hp`` (hp.x) or ``shifts`` (finite shifts of the potential of a shell).
    elements
        ``Ti-3d`` or ``Ti``; by default those of ``hubbard``.
    qmeshes
        From coarse to dense, of hp.x.
    tolerance
        eV, of two successive meshes, of U put in and got out, and of layers that get a U of their own.
    self_consistent, max_rounds, damping
        Whether U is put in again until it agrees, how often at most, and which part of the step is taken.
    shifts
        eV, of ``method: shifts``; by default those of its own.
    orders, structures
        Of the campaign; by default all.
    """

    method: Literal["hp", "shifts"] = Field(
        default="hp", description="hp (hp.x) or shifts (finite shifts of the potential of a shell)"
    )
    elements: Annotated[list[str], BeforeValidator(as_list), Field(min_length=1), one_or_more] = Field(
        default=[], description="Shells such as Ti-3d; those of hubbard by default"
    )
    qmeshes: Annotated[list[Any], reading(_meshes), Field(min_length=1), form(**_QMESHES)] = Field(
        default=[1, 2, 3], description="q-meshes of hp.x from coarse to dense"
    )
    tolerance: Annotated[Energy, Field(le=5)] = Field(
        default=0.1,
        description="Difference of two meshes, of U put in and got out, of layers with a U of their own, eV",
    )
    self_consistent: bool = Field(default=False, description="Put U in again until it agrees")
    max_rounds: Annotated[int, Field(ge=1, le=50, strict=True)] = Field(
        default=6, description="Rounds of self-consistency at most"
    )
    damping: Annotated[float, Field(gt=0, le=1)] = Field(default=1.0, description="Part of the step that is taken")
    shifts: Annotated[list[float], BeforeValidator(as_list), Field(min_length=1), one_or_more] = Field(
        default=[], description="Shifts of the potential, eV, of method: shifts; its own by default"
    )
    orders: Annotated[list[str], BeforeValidator(as_list), Field(min_length=1), one_or_more] = Field(
        default=[], description="Orders of the campaign; all by default"
    )
    structures: Annotated[list[Name], BeforeValidator(as_list), Field(min_length=1), one_or_more] = Field(
        default=[], description="Structures of the campaign; all by default"
    )

    @field_validator("qmeshes")
    @classmethod
    def _denser_each_time(cls, meshes: list[QMesh]) -> list[QMesh]:
        whole = [(mesh,) * 3 if isinstance(mesh, int) else mesh for mesh in meshes]
        if len({type(mesh) for mesh in meshes}) > 1:
            raise ValueError(f"{meshes}: give all q-meshes by one number, or all by three")
        for before, after in pairwise(whole):
            backwards = any(b > a for b, a in zip(before, after, strict=True))
            if backwards or prod(after) <= prod(before):
                raise ValueError(f"{meshes}: q-meshes go from coarse to dense, each denser than the one before")
        return meshes
