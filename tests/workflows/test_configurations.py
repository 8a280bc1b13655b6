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
        (
            "moments: {Ti: 1.0}",
            "moments: {O: 0.0}",
            r":\d+: magnetism: order FM .*has no moment to order; give .*\[bulk\]",
        ),
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


def notes_on(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(
        "name: x\nmaterials: {LaMnO3: }\nstructures: {s: {stack: [{material: LaMnO3, layers: 1}]}}\n"
        f"steps: [static]\n{text}"
    )
    notes = []
    expand(load_campaign(path), notes=notes)
    return notes


def test_a_magnetic_oxide_without_order_and_u_is_told(tmp_path):
    order, hubbard = notes_on(tmp_path, "")
    assert order.startswith("s: Mn mostly carries a moment, but no order is asked for")
    assert "write hubbard: {Mn-3d: 4.0} (eV)" in hubbard


def test_what_was_said_is_not_doubted(tmp_path):
    assert notes_on(tmp_path, "magnetism: {orders: [NM]}\nhubbard: {}\n") == []


@pytest.mark.parametrize("u", ["-3.9", "[3.9, -3.9]", '{"LaMnO3:1": -3.9}'])
def test_a_negative_u_is_told_once(tmp_path, u):
    (note,) = notes_on(tmp_path, f"magnetism: {{orders: [NM, FM]}}\nhubbard: {{Mn-3d: {u}}}\n")
    assert "-3.9eV: a negative U favours shells that are partly filled" in note


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hubbard: {Mn: 3}", r"x\.yaml:5: hubbard: 'Mn'; write an element and a shell.*\[s\]"),
        ("magnetism: {orders: [AFM-G]}", r"x\.yaml:5: magnetism: order AFM-G .*\[s\]"),
    ],
)
def test_a_mistake_is_told_with_the_line_of_its_key(tmp_path, text, message):
    with pytest.raises(CampaignError, match=message):
        notes_on(tmp_path, text)


def test_a_wrong_lattice_constant_is_told_where_it_stands(tmp_path):
    (tmp_path / "x.yaml").write_text(
        "name: x\nmaterials:\n  LaMnO3: {a: 0.394}\nstructures: {s: {stack: [{material: LaMnO3, layers: 1}]}}\n"
        "steps: [static]\n"
    )
    with pytest.raises(CampaignError, match=r"x\.yaml:3: materials\.LaMnO3: .* a = 0\.394 Å"):
        expand(load_campaign(tmp_path / "x.yaml"))


def test_moments_may_have_their_unit(tmp_path):
    notes_on(tmp_path, "hubbard: {}\nmagnetism: {orders: [FM], moments: {Mn: 4 μB}}\n")
    with pytest.raises(CampaignError, match="'4 eV' is no size of a moment"):
        notes_on(tmp_path, "magnetism: {orders: [FM], moments: {Mn: 4 eV}}\n")
