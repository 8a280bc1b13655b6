"""The scans of the Hubbard U of the ``converge`` section."""

from __future__ import annotations

from heterodft.workflows.fields import Spec

__all__ = ["HubbardScanSpec"]


class HubbardScanSpec(Spec):
    """To be filled in."""
