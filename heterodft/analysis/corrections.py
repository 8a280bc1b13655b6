"""What handlers changed while a calculation ran, in words, and whether its energy may still be compared.

A correction is ``{"program": "pw.x", "errors": ["SCF not converged"], "changes": {"electrons->mixing_beta":
[0.4, 0.32]}, "touches": []}``: values before (None where there was none) and after (None where it was removed);
``touches`` names which of smearing, k-points, cutoff and symmetry it changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["correction_notes", "describe_correction", "incomparable_reason"]

_DEFAULT = "its default"


def describe_correction(correction: Mapping[str, Any]) -> str:
    """Return a correction in words.

    Examples
    --------
    >>> describe_correction({"errors": ["SCF not converged"], "changes": {"electrons->mixing_beta": [0.4, 0.32]}})
    'mixing_beta 0.4 → 0.32 (SCF not converged)'
    """
    changes = [_change(name, *pair) for name, pair in correction.get("changes", {}).items()]
    errors = ", ".join(correction.get("errors", ()))
    return f"{', '.join(changes) or 'started again'} ({errors})" if errors else ", ".join(changes)


def _change(name: str, before: Any, after: Any) -> str:
    old, new = (_DEFAULT if value is None else f"{value}" for value in (before, after))
    return f"{name.rpartition('->')[2]} {old} → {new}"


def incomparable_reason(corrections: Sequence[Mapping[str, Any]]) -> str | None:
    """Return why the energy of a corrected calculation may not be compared, None when it may.

    Examples
    --------
    >>> incomparable_reason([{"changes": {"system->degauss": [0.01, 0.02]}, "touches": ["smearing"]}])
    'smearing was widened'
    """
    touched = dict.fromkeys(kind for one in corrections for kind in one.get("touches", ()))
    return " and ".join(_touched(kind, corrections) for kind in touched) or None


def _touched(kind: str, corrections: Sequence[Mapping[str, Any]]) -> str:
    verb = "were" if kind == "k-points" else "was"
    widths = [pair for one in corrections for name, pair in one.get("changes", {}).items() if _is_width(name)]
    numbers = [p for p in widths if all(isinstance(value, int | float) for value in p)]
    if kind == "smearing" and numbers and len(numbers) == len(widths) and numbers[-1][1] > numbers[0][0]:
        return f"{kind} was widened"
    return f"{kind} {verb} changed"


def _is_width(name: str) -> bool:
    return name.rpartition("->")[2].lower() in ("degauss", "sigma")


def correction_notes(step: str, corrections: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what to say of a step beside its numbers."""
    if not corrections:
        return []
    told = list(dict.fromkeys(map(describe_correction, corrections)))
    reason = incomparable_reason(corrections)
    return [f"{step} corrected: {'; '.join(told)}"] + ([f"{step} not comparable: {reason}"] if reason else [])
