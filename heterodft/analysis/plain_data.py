"""Numbers as JSON has them."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["plain"]


def plain(data: Any) -> Any:
    """Return JSON data in which no number is infinite or none: those are None."""
    if isinstance(data, dict):
        return {str(key): plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [plain(value) for value in data]
    if hasattr(data, "tolist"):
        return plain(data.tolist())
    return None if isinstance(data, float) and not math.isfinite(data) else data
