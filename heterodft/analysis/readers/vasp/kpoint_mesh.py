"""The mesh of k-points and its shift, as the list of k-points tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from heterodft.analysis.result import Bands

__all__ = ["mesh_of"]

_SAME = 1e-3
"""Of a step of the mesh; k-points are printed with eight decimals."""


def mesh_of(told: tuple[int, int, int] | int | None, bands: Bands | None) -> dict[str, Any]:
    """Return ``kpoints`` and, where there is one, ``kpoints_shift`` of `Result.method`.

    A list that holds every point of a mesh with the same weight is that mesh; of another list the number of its
    points is told. The shift is in halves of a step of the mesh, as Quantum ESPRESSO counts.

    Examples
    --------
    >>> mesh_of((2, 2, 2), None)
    {'kpoints': [2, 2, 2]}
    """
    mesh = told if isinstance(told, tuple) or bands is None else _full_mesh(bands)
    if not isinstance(mesh, tuple):
        number = told if told is not None or bands is None else len(bands.weights)
        return {} if number is None else {"kpoints": number}
    if bands is None:
        return {"kpoints": list(mesh)}
    halves = np.round(2 * _offsets(bands.kpoints[:1], mesh)[0], 3)
    shift = [int(half) if half == int(half) else float(half) for half in halves]
    return {"kpoints": list(mesh)} | ({"kpoints_shift": shift} if any(shift) else {})


def _offsets(kpoints: NDArray[np.float64], mesh: tuple[int, int, int]) -> NDArray[np.float64]:
    """Return by how much points lie off those of a mesh with Γ, 0…1 of a step."""
    steps = kpoints * np.array(mesh)
    offsets: NDArray[np.float64] = steps - np.floor(steps + _SAME)
    return offsets


def _full_mesh(bands: Bands) -> tuple[int, int, int] | None:
    wrapped = np.round(np.mod(bands.kpoints + _SAME, 1.0) - _SAME, 6)
    n1, n2, n3 = (len(np.unique(wrapped[:, axis])) for axis in range(3))
    every = n1 * n2 * n3 == len(wrapped) == len(np.unique(wrapped, axis=0))
    even = bool(np.ptp(bands.weights) < _SAME / len(wrapped))
    regular = bool((np.ptp(_offsets(bands.kpoints, (n1, n2, n3)), axis=0) < 2 * _SAME).all())
    return (n1, n2, n3) if every and even and regular else None
