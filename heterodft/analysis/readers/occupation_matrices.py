"""What both codes' occupation matrices must be for them to be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.result import HubbardOccupations

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["checked_occupations"]

_LOWEST, _HIGHEST = -0.5, 1.5
"""Of an occupation; atomic wavefunctions that overlap give a little less than 0 and more than 1."""
_UNEVEN = 0.005
"""Of the elements on both sides of the diagonal, of which codes print three or four decimals."""


def checked_occupations(site: int, shell: str, matrices: NDArray[Any]) -> HubbardOccupations:
    """Return the occupations of a site.

    Raises
    ------
    ValueError
        If the matrices cannot be occupations: no numbers, not Hermitian, or eigenvalues far from 0…1.
    """
    if not np.isfinite(matrices).all():
        raise ValueError(f"the occupation matrix of atom {site + 1} holds something that is no number")
    order = [0, 2, 1, 3] if len(matrices) == 4 else list(range(len(matrices)))
    if np.abs(matrices - matrices[order].conj().swapaxes(1, 2)).max() > _UNEVEN:
        raise ValueError(f"the occupation matrix of atom {site + 1} is not Hermitian")
    plain = matrices.real if len(matrices) < 4 and not np.iscomplex(matrices).any() else matrices
    found = HubbardOccupations(site, shell, np.ascontiguousarray(plain))
    lowest, highest = found.eigenvalues.min(), found.eigenvalues.max()
    if lowest < _LOWEST or highest > _HIGHEST:
        raise ValueError(f"the occupations of atom {site + 1} are {lowest:.3g} to {highest:.3g}, not 0 to 1")
    return found
