"""Whether the last self-consistent cycle of an output converges, or oscillates instead."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["oscillates", "still_falls"]

_ACCURACY = re.compile(r"estimated scf accuracy\s+<\s+([-+.\dEeDd]+) Ry")
_TOTAL = re.compile(r"(?:total|absolute) magnetization\s+=\s+([-+.\dEeDd]+) Bohr")
_WINDOW = 14
_PROGRESS = 0.5
"""The best accuracy of the last iterations must be below this part of the best before them."""
_TURNS = 0.5
"""Part of the steps after which a quantity that oscillates turns around."""
_MOMENT = 0.1
"""μB; a smaller swing of the magnetization is none."""


def _last_cycle(text: str) -> str:
    return text.rpartition("Self-consistent Calculation")[2]


def _numbers(pattern: re.Pattern[str], text: str) -> list[float]:
    return [float(value.lower().replace("d", "e")) for value in pattern.findall(text)]


def oscillates(text: str, *, least: int = 20) -> bool:
    r"""Return whether the last cycle swings without progress.

    It has at least `least` iterations, the last 14 brought the accuracy no further, and in them the accuracy or a
    magnetization turned around at every second step or oftener.

    Examples
    --------
    >>> line = "estimated scf accuracy    <      {} Ry\\n"
    >>> swing = "".join(line.format(0.1 if n % 2 else 0.3) for n in range(30))
    >>> fall = "".join(line.format(0.5**n) for n in range(30))
    >>> oscillates(swing), oscillates(fall)
    (True, False)
    """
    cycle = _last_cycle(text)
    accuracy = _numbers(_ACCURACY, cycle)
    if len(accuracy) < max(least, _WINDOW + 2):
        return False
    if min(accuracy[-_WINDOW:]) < _PROGRESS * min(accuracy[:-_WINDOW]):
        return False
    total, absolute = (_numbers(_TOTAL, cycle)[start::2] for start in (0, 1))
    swings = [np.log(np.maximum(accuracy, 1e-30)).tolist()]
    swings += [m for m in (total, absolute) if len(m) > _WINDOW and np.ptp(m[-_WINDOW:]) > _MOMENT]
    return any(_turns(values[-_WINDOW:]) >= _TURNS for values in swings)


def _turns(values: Sequence[float]) -> float:
    """Return after which part of its steps a series turns around."""
    steps = [b - a for a, b in pairwise(values)]
    return sum(a * b < 0 for a, b in pairwise(steps)) / (len(steps) - 1)


def still_falls(text: str) -> bool:
    """Return whether the accuracy of the last cycle fell to a tenth over its last third: time would have done."""
    accuracy = _numbers(_ACCURACY, _last_cycle(text))
    if len(accuracy) < 6:
        return False
    third = len(accuracy) // 3
    return min(accuracy[-third:]) < 0.1 * min(accuracy[:-third])
