from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterodft.errors import StructureError
from heterodft.structures.materials import build_material
from heterodft.structures.moments import assign_moments

CELL = build_material("SrTiO3").cell  # Sr Ti O O O


def test_a_nonmagnetic_order_is_not_spin_polarized():
    assert assign_moments(CELL, "NM", {"Ti": 1.0}) is None


@given(st.floats(0.1, 5), st.floats(-5, 5))
def test_ferromagnetic_moments_all_point_up(titanium, oxygen):
    moments = assign_moments(CELL, "FM", {"Ti": titanium, "O": oxygen})
    assert moments == [0.0, titanium, abs(oxygen), abs(oxygen), abs(oxygen)]


def test_moments_follow_the_sites_not_the_elements_order():
    turned = CELL.copy()
    turned.reverse()
    assert assign_moments(turned, "FM", {"Ti": 1.0}) == [0.0, 0.0, 0.0, 1.0, 0.0]


def test_moments_of_absent_elements_are_left_out_so_that_one_list_serves_every_structure():
    assert assign_moments(CELL, "FM", {"Ti": 1.0, "Fe": 4.0}) == [0.0, 1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("moments", [{}, {"Ti": 0.0}, {"Fe": 4.0}])
def test_an_order_without_moments_asks_for_them(moments):
    with pytest.raises(StructureError, match="order FM on Sr1 Ti1 O3 has no moment to order; give magnetism:"):
        assign_moments(CELL, "FM", moments)


def test_an_unknown_order_is_told_with_the_known_ones():
    with pytest.raises(StructureError, match=r"unknown order 'ferro'; known: AFM, AFM-110, .*, FM, NM"):
        assign_moments(CELL, "ferro", {"Ti": 1.0})
    with pytest.raises(StructureError, match=r"unknown order 'AFM-g'; did you mean 'AFM-G'\?"):
        assign_moments(CELL, "AFM-g", {"Ti": 1.0})


def test_a_named_antiferromagnet_needs_the_labels_of_the_builder():
    with pytest.raises(StructureError, match="needs a structure of build_superlattice"):
        assign_moments(CELL, "AFM-G", {"Ti": 1.0})
