"""The several starts of the ``converge`` section."""

from __future__ import annotations

from heterodft.workflows.fields import Spec

__all__ = ["StartsSpec"]


class StartsSpec(Spec):
    """To be filled in."""
