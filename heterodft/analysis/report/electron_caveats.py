"""What makes the electrons of a configuration doubtful: how they were smeared, and on which mesh they were found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.equal_layers import EQUAL_LAYERS
from heterodft.analysis.gaps import find_gap
from heterodft.analysis.misfilling import find_misfilling
from heterodft.errors import HeterodftError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from heterodft.analysis.gaps import Gap
    from heterodft.analysis.result import Result

__all__ = ["ANOTHER_MESH", "MISFILLED", "electron_caveats", "is_of_electrons"]

MISFILLED = "smearing fills bands on both sides of the gap"
ANOTHER_MESH = "which only more k-points make a metal"
_OTHER_MOMENT = "the k-points of the dos step give the cell another moment"
_LEAST_MOMENT, _LEAST_SHARE = 0.1, 0.02
"""μB, and of the moment of the static step: by less the two may differ."""


def electron_caveats(results: Mapping[str, Result], final: str, gap: Gap | None) -> list[str]:
    """Return what is to be known of the electrons of a configuration.

    Parameters
    ----------
    results
        Its steps that are done.
    final
        The one that its energy is from.
    gap
        That of all its k-points.
    """
    caveats = []
    filled = _misfilled(results.get(final))
    if filled:
        caveats.append(filled)
    caveats += _of_moments(results.get("static"), results.get("dos"))
    if gap is None or not gap.metal:
        return caveats
    words_of = {"static": "the density is that of an insulator", "relax": "the atoms were relaxed as in an insulator"}
    for step, words in words_of.items():
        own = _gap_of(results.get(step))
        if own is not None and not own.metal:
            points = f"{own.kpoints} k-point{'s' * (own.kpoints != 1)}"
            caveats.append(
                f"{words}, {ANOTHER_MESH}: a gap of {own.value:.2f} eV on {points}; "
                f"give the {step} step a smaller kspacing"
            )
    return caveats


def is_of_electrons(caveat: str) -> bool:
    """Tell whether a caveat is one of these or of layers, whose numbers are those of one configuration."""
    return caveat.startswith((MISFILLED, _OTHER_MOMENT)) or ANOTHER_MESH in caveat or EQUAL_LAYERS in caveat


def _moment_of_bands(result: Result | None) -> float | None:
    """Return the difference of the electrons of both spins in the bands, μB; None where there are no two spins."""
    if result is None or result.bands is None or len(result.bands.energies) != 2 or result.on_path:
        return None
    bands = result.bands
    up, down = (float(one) for one in np.einsum("skb,k->s", bands.occupations, bands.weights))
    return up - down


def _of_moments(static: Result | None, dos: Result | None) -> list[str]:
    """Return that moments by Löwdin, which are of the dos step, are not those of the cell's moment."""
    told, found = None if static is None else static.total_moment, _moment_of_bands(dos)
    if told is None or found is None or abs(found - told) < max(_LEAST_MOMENT, _LEAST_SHARE * abs(told)):
        return []
    return [
        f"{_OTHER_MOMENT}: {found:.2f} μB, {told:.2f} in the static step; moments by Löwdin and densities of states "
        "are of the former; give the static step a smaller kspacing"
    ]


def _misfilled(result: Result | None) -> str:
    try:
        found = None if result is None else find_misfilling(result)
    except HeterodftError:  # the bands hold too little to tell
        return ""
    return "" if found is None else f"{MISFILLED}: {found.text}"


def _gap_of(result: Result | None) -> Gap | None:
    try:
        return None if result is None or result.bands is None else find_gap(result)
    except HeterodftError:
        return None
