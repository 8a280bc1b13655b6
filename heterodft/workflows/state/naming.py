"""Which order a set of moments is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["NONE", "order_of", "sign_text"]

NONE = 0.1
"""μB; a smaller moment in a sphere counts as none."""
_LONGEST = 12


def sign_text(moments: Sequence[float], *, least: float = 0.0) -> str:
    """Return the signs by site, the first of them +; moments up to `least` μB count as none.

    Examples
    --------
    >>> sign_text([0.0, -3.0, 3.0])
    '0+-'
    """
    signs = [0 if abs(moment) <= least else (1 if moment > 0 else -1) for moment in moments]
    first = next((sign for sign in signs if sign), 1)
    return "".join("0+-"[sign * first] for sign in signs)


def order_of(moments: Sequence[float], known: Mapping[str, str]) -> str:
    """Return the name of the order that moments (μB by site) are.

    Parameters
    ----------
    moments
        Small ones only at sites that carry none in any order.
    known
        Signs by site (`sign_text`) by the name of each order.

    Returns
    -------
    str
        ``NM`` without moments; the name of a known order; ``FM``; else the signs of the sites that carry moments.

    Examples
    --------
    >>> order_of([2.1, 0.0, -2.0, 0.0], {"AFM-A": "+0-0"})
    'AFM-A'
    >>> order_of([2.1, 0.0, -2.0, 0.0], {"FM": "+0+0"})
    '+ -'
    """
    signs = sign_text(moments, least=NONE)
    if not signs.strip("0"):
        return "NM"
    for name, pattern in known.items():
        if pattern == signs:
            return name
    sites = [
        i for i in range(len(signs)) if signs[i] != "0" or any(p[i : i + 1] not in ("", "0") for p in known.values())
    ]
    shown = "".join(signs[i] for i in sites)
    if set(shown) == {"+"}:
        return "FM"
    return " ".join(shown[:_LONGEST]) + (" …" if len(shown) > _LONGEST else "")
