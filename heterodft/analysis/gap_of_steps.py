"""The gap of a cell from the k-points of several steps on one density: each further one can only narrow it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.gaps import find_gap
from heterodft.analysis.result import Bands
from heterodft.analysis.same_places import same_places

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterodft.analysis.gaps import Gap
    from heterodft.analysis.result import Result

__all__ = ["gap_of_steps"]

_SAME_K = 1e-4
_SAME_ENERGY = 0.01
"""eV between the bands of two steps at the same k-point; of one density they agree within the thresholds of both."""


def gap_of_steps(results: Sequence[Result]) -> tuple[Gap | None, tuple[str, ...]]:
    """Find the gap in the k-points of all steps that belong together.

    The static step and the densities of states of one cell have one density and one scale of energies, but other
    k-points: the band edge may lie at one that only the coarser mesh has.

    Parameters
    ----------
    results
        Of meshes, the one to prefer last. Those of another cell or another scale of energies are left out.

    Returns
    -------
    Gap or None
        As of `heterodft.analysis.gaps.find_gap`.
    tuple of str
        The steps whose k-points it is from.

    Raises
    ------
    ReaderError
        As `find_gap`.
    """
    with_bands = [result for result in results if result.bands is not None]
    if not with_bands:
        return None, ()
    main = with_bands[-1]
    joined, steps = main, [main.step]
    for other in with_bands[-2::-1]:
        more = _joined(joined, other)
        if more is not None:
            joined, steps = more, [other.step, *steps]
    gap = find_gap(joined)
    return (gap, tuple(steps)) if gap is not None else (find_gap(main), (main.step,))


def _joined(main: Result, other: Result) -> Result | None:
    """Return a result with the k-points of another one added, None where they are not of one density or known all."""
    a, b = main.bands, other.bands
    assert a is not None  # noqa: S101
    assert b is not None  # noqa: S101
    if len(a.energies) != len(b.energies) or not same_places(main.structure, other.structure):
        return None
    apart = b.kpoints[:, None] - a.kpoints
    same = np.abs(apart - np.round(apart)).max(axis=2) < _SAME_K
    new, bands = ~same.any(axis=1), min(a.energies.shape[2], b.energies.shape[2])
    theirs, ours = np.nonzero(same)
    # Without a common point nothing tells that the zero of energy is one; the highest bands may be loose.
    if not new.any() or not len(ours):
        return None
    lowest = slice(0, max(1, round(0.8 * bands)))
    if np.abs(a.energies[:, ours, lowest] - b.energies[:, theirs, lowest]).max() > _SAME_ENERGY:
        return None
    return replace(
        main,
        bands=Bands(
            energies=np.concatenate([a.energies[:, :, :bands], b.energies[:, new, :bands]], axis=1),
            occupations=np.concatenate([a.occupations[:, :, :bands], b.occupations[:, new, :bands]], axis=1),
            kpoints=np.concatenate([a.kpoints, b.kpoints[new]]),
            weights=np.concatenate([a.weights, np.zeros(int(new.sum()))]),
        ),
    )
