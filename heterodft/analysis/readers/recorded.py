"""What a queue of ours recorded beside the outputs: the result, its state, and what handlers changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from heterodft.analysis.result import RESULT_FILE, Result
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_recorded", "unrecorded_corrections"]


def read_recorded(folder: Path, request: dict[str, Any]) -> Result | None:
    """Return the result that was recorded for this request; None where there is none or it cannot be read."""
    if not request.get("id") or not (folder / RESULT_FILE).is_file():
        return None
    try:
        result = Result.load(folder)
    except ReaderError:
        return None
    return result if result.id == request["id"] else None


def unrecorded_corrections(folder: Path) -> list[dict[str, Any]]:
    """Return that handlers changed something, where their log says so but no result was recorded to say what."""
    try:
        attempts = json.loads((folder / "custodian.json").read_text(encoding="utf-8"))
        changed = any(attempt.get("corrections") for attempt in attempts)
    except (OSError, ValueError, AttributeError, TypeError):
        return []
    errors = ["found in custodian.json; heterodft run records it"]
    return [{"program": "", "errors": errors, "changes": {}, "touches": ["a setting"]}] if changed else []
