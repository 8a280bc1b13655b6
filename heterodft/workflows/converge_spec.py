"""The ``converge`` section of the campaign file: what each driver is to find out."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from heterodft.workflows.convergence_spec import CutoffSpec, LayersSpec, SmearingSpec, SpacingSpec, VacuumSpec
from heterodft.workflows.fields import Spec
from heterodft.workflows.hubbard_scan_spec import HubbardScanSpec
from heterodft.workflows.response_spec import ResponseSpec
from heterodft.workflows.starts_spec import StartsSpec

__all__ = ["ConvergeSpec"]


class ConvergeSpec(Spec):
    """What each driver is to find out; one that is not here is not asked for."""

    cutoff: CutoffSpec | None = Field(
        default=None,
        description="Converge the wavefunction cutoff",
        examples=[{"start": "40 Ry", "stop": "120 Ry", "step": "10 Ry", "quantities": {"energy": "1 meV/atom"}}],
    )
    kspacing: SpacingSpec | None = Field(
        default=None,
        description="Converge the k-mesh",
        examples=[{"start": 0.5, "factor": 0.8, "stop": 0.1, "quantities": {"energy": "1 meV/atom"}}],
    )
    smearing: SmearingSpec | None = Field(
        default=None,
        description="Converge the width of the smearing",
        examples=[{"start": "0.04 Ry", "factor": 0.5, "stop": "0.0025 Ry"}],
    )
    layers: LayersSpec | None = Field(
        default=None, description="Converge the number of layers", examples=[{"start": 2, "stop": 8, "step": 1}]
    )
    vacuum: VacuumSpec | None = Field(
        default=None,
        description="Converge the vacuum of slabs",
        examples=[{"start": "8 Å", "stop": "24 Å", "step": "4 Å"}],
    )
    hubbard: HubbardScanSpec | None = Field(
        default=None,
        description="Scan Hubbard U up and down, keyed by the state reached",
        examples=[{"Ti-3d": {"start": 0, "stop": 4, "step": 1}, "branches": ["up", "down"]}],
    )
    linear_response: ResponseSpec | None = Field(
        default=None,
        description="Compute Hubbard U by linear response",
        examples=[{"elements": ["Ti-3d"], "qmeshes": [1, 2], "tolerance": "0.1 eV"}],
    )
    starts: StartsSpec | None = Field(
        default=None,
        description="Try several starts, for other states",
        examples=[{"moments": [0.5, 2.0], "random": {"number": 2}}],
    )

    @model_validator(mode="before")
    @classmethod
    def _by_default(cls, value: Any) -> Any:
        """Take a key without a value, ``cutoff:``, as one that is all by default."""
        return {key: {} if one is None else one for key, one in value.items()} if isinstance(value, dict) else value

    @property
    def asked(self) -> list[str]:
        """The kinds that are asked for."""
        return [kind for kind in type(self).model_fields if getattr(self, kind) is not None]
