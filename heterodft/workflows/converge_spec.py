"""The ``converge`` section of the campaign file: what each driver is to find out."""

from __future__ import annotations

from heterodft.workflows.convergence_spec import ConvergenceSpec
from heterodft.workflows.fields import Spec
from heterodft.workflows.hubbard_scan_spec import HubbardScanSpec
from heterodft.workflows.response_spec import ResponseSpec
from heterodft.workflows.starts_spec import StartsSpec

__all__ = ["ConvergeSpec"]


class ConvergeSpec(Spec):
    """What each driver is to find out; one that is not here is not asked for."""

    cutoff: ConvergenceSpec | None = None
    kspacing: ConvergenceSpec | None = None
    smearing: ConvergenceSpec | None = None
    layers: ConvergenceSpec | None = None
    vacuum: ConvergenceSpec | None = None
    hubbard: HubbardScanSpec | None = None
    linear_response: ResponseSpec | None = None
    starts: StartsSpec | None = None

    @property
    def asked(self) -> list[str]:
        """The kinds that are asked for."""
        return [kind for kind in type(self).model_fields if getattr(self, kind) is not None]
