from __future__ import annotations

import pytest

from heterodft.analysis.same_places import same_places
from heterodft.structures import build_material

CELL = build_material("SrTiO3").cell


def test_periods_do_not_move_atoms():
    again = CELL.copy()
    again.translate_sites([0, 3], [1, -2, 0], to_unit_cell=False)
    assert same_places(CELL, again)


@pytest.mark.parametrize("change", ["moved", "strained", "shorter", "in another order"])
def test_other_places_and_cells_are_told(change):
    other = CELL.copy()
    if change == "moved":
        other.translate_sites([1], [0.0, 0.0, 2e-3], frac_coords=False)
    elif change == "strained":
        other.scale_lattice(CELL.volume * 1.001)
    elif change == "shorter":
        other.remove_sites([4])
    else:
        other = type(CELL).from_sites([CELL[i] for i in (1, 0, 2, 3, 4)])
    assert not same_places(CELL, other)
    assert same_places(CELL, other, within=10.0) == (change != "shorter")
