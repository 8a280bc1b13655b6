"""The ``converge`` section of the campaign file: what each driver is to find out."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from heterodft.workflows.convergence_spec import CutoffSpec, LayersSpec, SmearingSpec, SpacingSpec, VacuumSpec
from heterodft.workflows.fields import Spec
from heterodft.workflows.hubbard_scan_spec import HubbardScanSpec
from heterodft.workflows.response_spec import ResponseSpec
from heterodft.workflows.starts_spec import StartsSpec

__all__ = ["ConvergeSpec"]


class ConvergeSpec(Spec):
    """What each driver is to find out; one that is not here is not asked for."""

    cutoff: CutoffSpec | None = None
    kspacing: SpacingSpec | None = None
    smearing: SmearingSpec | None = None
    layers: LayersSpec | None = None
    vacuum: VacuumSpec | None = None
    hubbard: HubbardScanSpec | None = None
    linear_response: ResponseSpec | None = None
    starts: StartsSpec | None = None

    @model_validator(mode="before")
    @classmethod
    def _by_default(cls, value: Any) -> Any:
        """Take a key without a value, ``cutoff:``, as one that is all by default."""
        return {key: {} if one is None else one for key, one in value.items()} if isinstance(value, dict) else value

    @property
    def asked(self) -> list[str]:
        """The kinds that are asked for."""
        return [kind for kind in type(self).model_fields if getattr(self, kind) is not None]
