from __future__ import annotations

import pytest

from heterodft.errors import CampaignError
from heterodft.workflows.built_structures import build_structures
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.configurations import expand


def test_the_demo_has_a_pristine_cell_and_four_vacancies(demo_file):
    built = build_structures(load_campaign(demo_file))
    assert [b.name for b in built] == ["sl", "sl-V_O_1", "sl-V_O_2", "sl-V_O_3", "sl-V_O_4"]
    assert [b.label for b in built[1:]] == [
        "V_O@SrTiO3:1 (SrO)",
        "V_O@SrTiO3:1 (TiO2)",
        "V_O@LaAlO3:1 (LaO)",
        "V_O@LaAlO3:1 (AlO2)",
    ]
    assert [len(b.structure) for b in built] == [10, 9, 9, 9, 9]


def test_lists_of_layers_make_a_structure_each(tiny_file):
    tiny_file.write_text(tiny_file.read_text().replace("layers: 1", "layers: [1, 3]"))
    built = build_structures(load_campaign(tiny_file))
    assert [(b.name, len(b.structure)) for b in built] == [("bulk-1", 5), ("bulk-3", 15)]


def test_orders_and_u_multiply(tiny_file):
    tiny_file.write_text(tiny_file.read_text().replace("Ti-3d: 4.0", "Ti-3d: [0.0, 4.0]"))
    found = [(c.order, c.hubbard_label) for c in expand(load_campaign(tiny_file))]
    assert found == [("NM", "Ti-3d-0eV"), ("NM", "Ti-3d-4eV"), ("FM", "Ti-3d-0eV"), ("FM", "Ti-3d-4eV")]


def test_u_on_an_element_that_a_structure_lacks_is_left_out_there(demo_file, tmp_path):
    path = tmp_path / "c.yaml"
    bulk = "structures:\n  lao: {stack: [{material: LaAlO3, layers: 1}], magnetism: {orders: [NM]}}\n"
    path.write_text(demo_file.read_text().replace("structures:\n", bulk))
    assert [c.hubbard_label for c in expand(load_campaign(path))][:2] == ["noU", "Ti-3d-4eV"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Ti-3d", "T-3d", r"hubbard\.T-3d: no structure holds T; did you mean 'Ti'"),
        ("Ti-3d", "Ti-4d", r"hubbard: 'Ti-4d'; Ti has 3d"),
        ("moments: {Ti: 1.0}", "moments: {Fe: 1.0}", r"magnetism\.moments\.Fe: no structure holds Fe"),
        ("moments: {Ti: 1.0}", "moments: {O: 0.0}", r"structures\.bulk: .*has no moment to order; give"),
    ],
)
def test_a_slip_of_the_pen_does_not_silently_drop_moments_or_u(tiny_file, old, new, message):
    tiny_file.write_text(tiny_file.read_text().replace(old, new))
    with pytest.raises(CampaignError, match=message):
        expand(load_campaign(tiny_file))


def test_a_defect_of_an_absent_element_is_refused(tiny_file):
    text = tiny_file.read_text().replace("layers: 1}]", "layers: 1}], defects: [{kind: V_Fe, where: all}]")
    tiny_file.write_text(text)
    with pytest.raises(CampaignError, match=r"structures\.bulk: defect V_Fe: no Fe at all"):
        build_structures(load_campaign(tiny_file))
