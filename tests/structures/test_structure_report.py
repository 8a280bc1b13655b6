from __future__ import annotations

import numpy as np
import pytest

from heterodft.structures.defects import enumerate_defects
from heterodft.structures.materials import build_material
from heterodft.structures.report import describe
from heterodft.structures.superlattice import Block, build_superlattice

STO, LAO = build_material("SrTiO3"), build_material("LaAlO3")
LAYER = 3.79**3 / 3.905**2  # thickness (Å) of a LaAlO3 layer stretched onto SrTiO3


def stack(sto, lao, **options):
    return build_superlattice([Block(STO, sto), Block(LAO, lao)], in_plane="SrTiO3", **options)


def test_the_cell_of_the_demonstration_is_described_as_worked_out_by_hand():
    report = describe(stack(1, 1))
    assert (report.formula, report.atoms, report.space_group) == ("Sr1La1Ti1Al1O6", 10, "P4mm")
    assert report.lengths == pytest.approx((3.905, 3.905, 3.905 + LAYER))
    assert report.angles == pytest.approx((90, 90, 90))
    assert report.strain == pytest.approx({"SrTiO3": 0.0, "LaAlO3": 3.034301}, abs=1e-6)


def test_spacings_of_planes_add_up_to_the_period_and_the_last_crosses_the_boundary():
    report = describe(stack(1, 2))
    own, other, mean = 3.905 / 2, LAYER / 2, (3.905 + LAYER) / 4
    assert [(p.plane, p.layer, p.formula) for p in report.planes] == [
        (0, "SrTiO3:1", "SrO"),
        (1, "SrTiO3:1", "TiO2"),
        (2, "LaAlO3:1", "LaO"),
        (3, "LaAlO3:1", "AlO2"),
        (4, "LaAlO3:2", "LaO"),
        (5, "LaAlO3:2", "AlO2"),
    ]
    assert [p.spacing for p in report.planes] == pytest.approx([own, mean, other, other, other, mean])
    assert [p.height for p in report.planes] == pytest.approx(
        [0, own, own + mean, *own + mean + np.arange(1, 4) * other]
    )
    assert sum(p.spacing for p in report.planes) == pytest.approx(3.905 + 2 * LAYER)


def test_the_shortest_bond_is_found_even_when_it_crosses_the_boundary():
    first, second, length = describe(stack(1, 1)).shortest
    assert (first, second) == ("Al", "O")
    assert length == pytest.approx(LAYER / 2)
    assert describe(build_superlattice([Block(STO, 1)])).shortest == pytest.approx(("O", "Ti", 1.9525))


def test_bulk_in_layers_is_still_cubic():
    for normal in ((0, 0, 1), (1, 1, 1), (2, 1, 0)):
        report = describe(build_superlattice([Block(STO, 2)], normal=normal))
        assert report.space_group == "Pm-3m"
        assert report.strain == {"SrTiO3": 0.0}


def test_heights_of_a_leaning_cell_are_measured_along_the_normal():
    report = describe(build_superlattice([Block(STO, 1)], normal=(1, 1, 1)))
    assert [p.spacing for p in report.planes] == pytest.approx([3.905 / np.sqrt(12)] * 2)


def test_a_vacancy_lowers_the_symmetry_and_shows_in_its_plane():
    vacancy = enumerate_defects(stack(1, 1), "V_O")[1]
    report = describe(vacancy.structure)
    assert (report.atoms, report.space_group) == (9, "Pmm2")
    assert [p.formula for p in report.planes] == ["SrO", "TiO", "LaO", "AlO2"]
