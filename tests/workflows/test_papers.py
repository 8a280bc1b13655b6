"""Every system of the campaign files beside the design builds as published; skipped where those files are missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from heterodft.structures import describe
from heterodft.workflows.built_structures import build_structures
from heterodft.workflows.campaign_file import load_campaign

CAMPAIGNS = Path(__file__).parents[3] / "shared" / "campaigns"
pytestmark = pytest.mark.skipif(not CAMPAIGNS.is_dir(), reason="the campaign files of the papers are not here")


def built(name):
    found = build_structures(load_campaign(CAMPAIGNS / f"{name}.yaml"))
    return {one.name: describe(one.structure) for one in found}


def test_lanthanum_aluminate_on_potassium_tantalate_111_has_sixty_atoms():
    found = built("laalo3-ktao3")
    assert [report.atoms for report in found.values()] == [60, 59, 59]
    pristine = found["sl"]
    assert pristine.lengths[:2] == pytest.approx((3.989 * 2**0.5,) * 2)
    assert [b.layer for b in pristine.blocks] == pytest.approx(
        [3.989 / 3**0.5, 3.79**3 / 3.989**2 / 3**0.5], abs=1e-5
    )
    assert [i.discontinuity for i in pristine.interfaces] == [1.0, -1.0]


def test_the_misfit_of_calcium_zirconate_is_the_published_one_in_three_orientations():
    found = built("cazro3-ktao3")
    for key, atoms in {"001": 4 * 12 * 5, "110": 12 * 5, "111": 12 * 5}.items():
        assert found[key].atoms == atoms
        misfit = -found[key].strain["CaZrO3"] / (100 + found[key].strain["CaZrO3"]) * 100
        assert misfit == pytest.approx(0.58, abs=0.005)
    assert sum(name.startswith("001-V_O") for name in found) == 6  # an apical and an equatorial site in three layers


def test_chromia_on_chromium_nitride_is_the_turned_root_three_cell():
    found = built("cr2o3-crn")
    assert sorted({(r.blocks[0].layers, r.blocks[1].layers) for r in found.values()}) == [(2, 2), (3, 3), (4, 4)]
    for report in found.values():
        oxide, nitride = report.blocks
        assert nitride.rotation == pytest.approx(30)
        assert nitride.bulk_layer == pytest.approx(2.40, abs=0.01)
        assert report.lengths[0] == pytest.approx(4.961)
        chromium = {p.layer: 0 for p in report.planes}
        for plane in report.planes:
            chromium[plane.layer] += plane.atoms if plane.formula == "Cr" else 0
        assert {n for layer, n in chromium.items() if layer.startswith("Cr2O3")} == {2}
        assert {n for layer, n in chromium.items() if layer.startswith("CrN")} == {3}
        assert oxide.strains == (0, 0)
    assert len(found) == 12


def test_calcium_ruthenate_and_lanthanum_nickelate_are_strained_to_lsat_and_hold_their_orders():
    found = built("caruo3-lanio3")
    assert len(found) == 8
    for report in found.values():
        assert report.lengths[0] == pytest.approx(3.868 * 2**0.5)
        strain = {name: 100 * (3.868 / a - 1) for name, a in (("CaRuO3", 3.85), ("LaNiO3", 3.84))}
        assert report.strain == pytest.approx(strain, abs=1e-5)
        assert {"AFM-A", "AFM-C", "AFM-G"} <= set(report.orders)


def test_defects_of_the_aluminate_titanate_interface_are_told_apart_by_layer_and_not_in_the_bulk():
    found = built("laalo3-srtio3")
    names = list(found)
    assert [n for n in names if n.startswith("sto-")] == ["sto-V_Ti_1", "sto-V_Sr_1", "sto-V_O_1"]
    assert sum(n.startswith("sl-V_Al") for n in names) == 4
    assert sum(n.startswith("sl-V_Ti") for n in names) == 4
    assert sum(n.startswith("sl-Ti_Al+V_Ti") for n in names) == 2
    assert [i.planes for i in found["sl"].interfaces] == ["TiO2/LaO", "AlO2/SrO"]
    slab = found["slab"]
    assert slab.atoms == 4 * 5 + 9 * 5
    assert [i.planes for i in slab.interfaces] == ["TiO2/LaO"]
    assert slab.planes[-1].spacing == pytest.approx(15)
