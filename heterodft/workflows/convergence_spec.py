"""The cutoff, k-mesh, smearing, layers, vacuum of the ``converge`` section."""

from __future__ import annotations

from heterodft.workflows.fields import Spec

__all__ = ["ConvergenceSpec"]


class ConvergenceSpec(Spec):
    """To be filled in."""
