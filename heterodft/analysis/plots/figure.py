"""A figure that a notebook shows by itself, without pyplot."""

from __future__ import annotations

from io import BytesIO

from matplotlib import figure

__all__ = ["Figure"]

_DPI = 150
"""Of the picture in a notebook."""


class Figure(figure.Figure):
    """Matplotlib's figure, which notebooks draw only where pyplot made it."""

    def _repr_png_(self) -> bytes:
        """Return the picture that a notebook shows."""
        stream = BytesIO()
        self.savefig(stream, format="png", dpi=_DPI)
        return stream.getvalue()
