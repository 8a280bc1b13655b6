"""The magnetic state asked for against the state reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Verdict", "compare_moments", "compare_vectors"]

Verdict = Literal["kept", "flipped", "collapsed", "other"]

_THRESHOLD = 0.1
"""μB; a smaller moment in a sphere counts as none."""
_TURNED = np.cos(np.radians(30))
"""Beyond 30° from its line a moment has left its direction."""


def compare_moments(asked: Sequence[float] | None, reached: Sequence[float] | None) -> tuple[Verdict, list[int]]:
    """Compare starting moments with the moments in spheres that the run ended with.

    A global flip of all spins is the same state.

    Parameters
    ----------
    asked, reached
        μB by site, or None when not spin-polarized.

    Returns
    -------
    verdict
        ``kept``: every asked moment is there with its sign; ``collapsed``: none is there; ``flipped``: all are
        there, some with the other sign; ``other``: some are missing.
    sites
        Indices of the sites that differ.

    Examples
    --------
    >>> compare_moments([1.0, -1.0, 0.0], [0.9, 0.8, 0.0])
    ('flipped', [1])
    """
    if asked is None or reached is None:
        return "kept", []
    carriers = [i for i, moment in enumerate(asked) if moment]
    present = [i for i in carriers if abs(reached[i]) >= _THRESHOLD]
    if not present:
        return ("collapsed", carriers) if carriers else ("kept", [])
    overlap = sum(asked[i] * reached[i] for i in present)
    sign = 1 if overlap >= 0 else -1
    flipped = [i for i in present if sign * asked[i] * reached[i] < 0]
    missing = [i for i in carriers if i not in present]
    if missing:
        return "other", sorted(missing + flipped)
    return ("flipped", flipped) if flipped else ("kept", [])


def compare_vectors(
    asked: Sequence[float], directions: Sequence[Sequence[float]], reached: NDArray[np.float64]
) -> tuple[Verdict, list[int]]:
    """Compare starting moments along given directions with the vectors in spheres of a noncollinear run.

    Parameters
    ----------
    asked
        μB by site, positive along its direction.
    directions
        Unit vector by site.
    reached
        μB, shape (site, 3).

    Returns
    -------
    verdict, sites
        As of `compare_moments`; ``other`` also where moments turned by more than 30° from their line.

    Examples
    --------
    >>> compare_vectors([1.0, 0.0], [(1, 0, 0), (1, 0, 0)], np.array([[0.0, 0.0, 0.9], [0.0, 0.0, 0.0]]))
    ('other', [0])
    """
    along = np.einsum("ij,ij->i", np.array(directions, dtype=float), reached)
    sizes = np.linalg.norm(reached, axis=1)
    verdict, sites = compare_moments(asked, np.copysign(sizes, along).tolist())
    if verdict in ("collapsed", "other"):
        return verdict, sites
    turned = [i for i, moment in enumerate(asked) if moment and abs(along[i]) < _TURNED * sizes[i]]
    return ("other", sorted({*turned, *sites})) if turned else (verdict, sites)
