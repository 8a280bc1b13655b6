"""Pools of ranks that share the k-points of a run of pw.x: ``-nk``.

Ranks of one pool divide the plane waves and talk all the time, ranks of different pools hardly ever; but each pool
holds arrays of its own. The User's Guide of PWscf, 3.3, says the same.
"""

from __future__ import annotations

import math

import psutil

__all__ = ["choose_pools"]

_GAIN = 0.85
"""Exponent of the speed that more ranks in one pool give."""
_PART_OF_MEMORY = 0.5
"""Of the machine, that all pools together may take."""


def choose_pools(ranks: int, *, kpoints: int, memory: float) -> int:
    """Return the number of pools that is expected to be the fastest.

    Parameters
    ----------
    ranks
        That run together.
    kpoints
        To be shared, those of spin up and of spin down both counted.
    memory
        GB of a run in one pool.

    Notes
    -----
    The time of p pools is that of ⌈k/p⌉ points on n/p ranks, (n/p)^-0.85 each. Of two choices equally fast, that of
    fewer pools is taken, and none whose arrays fill more than half of the memory of this machine.
    """
    room = _PART_OF_MEMORY * psutil.virtual_memory().total / 1e9
    fitting = [p for p in range(1, min(ranks, kpoints) + 1) if ranks % p == 0 and (p == 1 or p * memory <= room)]
    return min(fitting or [1], key=lambda p: math.ceil(kpoints / p) / (ranks / p) ** _GAIN)
