"""The linear response of the ``converge`` section."""

from __future__ import annotations

from heterodft.workflows.fields import Spec

__all__ = ["ResponseSpec"]


class ResponseSpec(Spec):
    """To be filled in."""
