from __future__ import annotations

import numpy as np
import pytest

from heterodft.analysis.layers import find_planes, sum_over_groups
from heterodft.errors import ReaderError
from heterodft.structures import Block, build_material, build_superlattice, enumerate_defects

STO, LAO = build_material("SrTiO3"), build_material("LaAlO3")


def stack(**options):
    return build_superlattice([Block(STO, 1), Block(LAO, 1)], in_plane="SrTiO3", **options)


def test_planes_carry_layer_formula_and_sites():
    planes = find_planes(stack())
    assert [(p.number, p.layer, p.formula, p.sites) for p in planes] == [
        (0, "SrTiO3:1", "SrO", (0, 1)),
        (1, "SrTiO3:1", "TiO2", (2, 3, 4)),
        (2, "LaAlO3:1", "LaO", (5, 6)),
        (3, "LaAlO3:1", "AlO2", (7, 8, 9)),
    ]
    assert planes[1].height == pytest.approx(3.905 / 2)


def test_labels_decide_not_the_order_of_the_sites():
    turned = stack()
    turned.reverse()
    planes = find_planes(turned)
    assert [(p.layer, p.formula) for p in planes] == [(p.layer, p.formula) for p in find_planes(stack())]
    assert [turned[i].species_string for i in planes[1].sites] == ["O", "O", "Ti"]


def test_heights_are_measured_along_the_normal_of_a_leaning_cell():
    planes = find_planes(build_superlattice([Block(STO, 2)], normal=(1, 1, 1)))
    assert [p.height for p in planes] == pytest.approx(np.arange(4) * 3.905 / np.sqrt(12))


def test_a_plane_that_a_vacancy_emptied_is_left_out_and_the_numbers_stay():
    host = build_superlattice([Block(STO, 1), Block(LAO, 1)], normal=(1, 1, 1))
    (vacancy,) = enumerate_defects(host, "V_Ti")
    assert [p.number for p in find_planes(vacancy.structure)] == [0, 2, 3]


def test_site_values_are_added_over_each_plane():
    planes = find_planes(stack())
    assert sum_over_groups(planes, np.arange(10)).tolist() == [1, 9, 11, 24]
    assert sum_over_groups(planes, np.ones((10, 3, 2))).shape == (4, 3, 2)


def test_no_site_is_lost_or_counted_twice():
    structure = stack(supercell=(2, 2))
    planes = find_planes(structure)
    assert sorted(i for p in planes for i in p.sites) == list(range(len(structure)))


def test_a_structure_without_labels_is_told():
    bare = stack()
    bare.remove_site_property("plane")
    bare.remove_site_property("layer")
    with pytest.raises(ReaderError, match="sites carry no layer, plane; layers cannot be told"):
        find_planes(bare)
