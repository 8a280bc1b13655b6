"""When a run of pw.x began, and when its XML file was written."""

from __future__ import annotations

import re
from datetime import datetime

__all__ = ["time_of"]

_STAMP = re.compile(r"(\d{1,2}) ?([A-Z][a-z]{2}) ?(\d{4})\D{1,20}?(\d{1,2}): ?(\d{1,2}): ?(\d{1,2})")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def time_of(text: str) -> datetime | None:
    """Return the first time in a text of pw.x; None where there is none.

    Examples
    --------
    >>> time_of("Program PWSCF v.6.7MaX starts on 22Nov2026 at 16:16: 3")
    datetime.datetime(2026, 11, 22, 16, 16, 3)
    """
    found = _STAMP.search(text)
    if found is None or found[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(found[i]) for i in (1, 3, 4, 5, 6))
    month = _MONTHS.index(found[2]) + 1
    try:
        return datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None
