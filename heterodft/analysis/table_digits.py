"""How many digits of a number are written into a table: as many as mean something, by its unit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["rounded"]

_UNIT = re.compile(r"\((?P<unit>[^()]*)\)$")
_DECIMALS = {"meV": 4, "s": 2, "%": 4, "μB": 5}
"""By unit; a column of any other one has `_USUAL`: a millionth of an eV or an Å."""
_USUAL = 6


def rounded(frame: DataFrame) -> DataFrame:
    """Return a table with its numbers rounded by the unit in the name of their column, or in its column ``unit``.

    Examples
    --------
    >>> from pandas import DataFrame
    >>> rounded(DataFrame({"change (meV/atom)": [1 / 3], "CPU time (s)": [55.199999999999996]})).to_dict("records")
    [{'change (meV/atom)': 0.3333, 'CPU time (s)': 55.2}]
    """
    found = frame.copy()
    for name in found.columns:
        if found[name].dtype.kind != "f":
            continue
        told = _UNIT.search(str(name))
        if told is None and "unit" in found.columns:
            found[name] = [_round(value, unit) for value, unit in zip(found[name], found["unit"], strict=True)]
        else:
            found[name] = [_round(value, told["unit"] if told else "") for value in found[name]]
    return found


def _round(value: float, unit: Any) -> float:
    return round(float(value), _DECIMALS.get(str(unit).partition("/")[0].partition(" ")[0], _USUAL))
