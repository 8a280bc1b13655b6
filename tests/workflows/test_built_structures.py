from __future__ import annotations

import pytest

from heterodft.errors import CampaignError
from heterodft.workflows.built_structures import build_structures
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.configurations import expand

HEAD = """name: t
materials: {SrTiO3: {}, LaAlO3: {}, CaRuO3: {}, LaNiO3: {}, CrN: {}, Cr2O3: {}, SrMnO3: {}}
steps: [static]
"""


@pytest.fixture
def campaign(tmp_path):
    def load(text):
        file = tmp_path / "c.yaml"
        file.write_text(HEAD + text)
        return load_campaign(file)

    return load


PAIR = "stack: [{material: SrTiO3, layers: 2}, {material: LaAlO3, layers: 2}]"
RUNI = "stack: [{material: CaRuO3, layers: 2}, {material: LaNiO3, layers: 2}], supercell: [[1, -1], [1, 1]]"


def names(text, campaign):
    return [one.name for one in build_structures(campaign(text))]


def test_thicknesses_go_together_where_they_are_the_same(campaign):
    stack = "[{material: SrTiO3, thickness: [0.8 nm, 1.2 nm]}, {material: LaAlO3, thickness: same}]"
    assert names(f"structures: {{sl: {{stack: {stack}}}}}", campaign) == ["sl-2-2", "sl-3-3"]


def test_two_thicknesses_that_round_to_the_same_layers_are_built_once_and_told(campaign):
    notes = []
    found = build_structures(
        campaign("structures: {sl: {stack: [{material: SrTiO3, thickness: [0.8 nm, 0.81 nm]}]}}"), notes=notes
    )
    assert [one.name for one in found] == ["sl-2"]
    assert "asked for twice" in notes[0]


def test_two_keys_that_lead_to_one_name_are_refused(campaign):
    one, two = "stack: [{material: SrTiO3, layers: [2, 3]}]", "stack: [{material: LaAlO3, layers: 4}]"
    text = f"structures: {{sl: {{{one}}}, sl-2: {{{two}}}}}"
    with pytest.raises(CampaignError, match="sl-2 is also the name of a structure of sl; rename one key"):
        build_structures(campaign(text))


def test_a_defect_that_is_asked_for_twice_is_built_once(campaign):
    defects = "defects: [{kind: V_Ti}, {kind: V_Ti, where: all}]"
    assert names(f"structures: {{sl: {{{PAIR}, {defects}}}}}", campaign) == ["sl", "sl-V_Ti_1", "sl-V_Ti_2"]


def test_defects_may_do_without_the_pristine_cell(campaign):
    defects = "defects: [{kind: V_Ti}], pristine: false"
    assert names(f"structures: {{sl: {{{PAIR}, {defects}}}}}", campaign) == ["sl-V_Ti_1"]
    with pytest.raises(CampaignError, match="pristine: false leaves nothing to compute; add defects"):
        campaign(f"structures: {{sl: {{{PAIR}, pristine: false}}}}")


def test_charge_states_and_complexes_have_names_of_their_own(campaign):
    defects = "defects: [{kind: V_O, where: {material: SrTiO3, layers: 1}, charge: [0, 2]}, {kind: [Ti_Al, V_O]}]"
    found = build_structures(campaign(f"structures: {{sl: {{{PAIR}, {defects}}}}}"))
    assert {one.name: one.structure.properties.get("charge") for one in found[3:5]} == {
        "sl-V_O+2_1": 2,
        "sl-V_O+2_2": 2,
    }
    assert found[5].name == "sl-Ti_Al+V_O_1"


def test_a_moment_of_a_site_follows_its_atom_into_a_defect(campaign):
    text = f"structures: {{sl: {{{PAIR}, defects: [{{kind: V_O, where: all}}]}}}}\n"
    found = expand(campaign(text + "magnetism: {orders: [FM], moments: {Ti: 0.1, sites: {16: 0.7}}}"))
    host = found[0].built.structure[16]
    for one in found:
        moved = [i for i, moment in enumerate(one.moments) if moment == 0.7]
        assert len(moved) == (0 if one.built.kept and 16 not in one.built.kept else 1)
        assert all(one.built.structure[i].distance(host) < 1e-6 for i in moved)


def test_enumerated_orders_of_a_defect_are_those_of_its_host(campaign):
    text = f"structures: {{sl: {{{RUNI}, defects: [{{kind: V_Ru, where: all}}]}}}}\n"
    found = expand(
        campaign(text + "magnetism: {orders: [{enumerate: {up_to: 3}}, FM, AFM-G], moments: {Ru: 1.5, Ni: 1}}")
    )
    hosts = {one.order: one.moments for one in found if one.built.host is None}
    assert list(hosts) == ["order-1", "order-2", "order-3", "FM", "AFM-G"]
    assert len({tuple(m > 0 for m in moments) for moments in hosts.values()}) == 5
    for one in found:
        if one.built.host is not None:
            assert one.moments == tuple(hosts[one.order][i] for i in one.built.kept)


def test_a_dopant_in_a_host_without_moments_is_ordered_and_the_host_skipped(campaign):
    text = f"structures: {{sl: {{{PAIR}, defects: [{{kind: Fe_Al, where: all}}]}}}}\n"
    notes = []
    found = expand(campaign(text + "magnetism: {orders: [FM], moments: {Fe: 4}, unfit: skip}"), notes=notes)
    assert [one.built.name for one in found] == ["sl-Fe_Al_1", "sl-Fe_Al_2"]
    assert all(sum(one.moments) == 4 for one in found)
    assert "sl: order FM skipped: magnetism: order FM on" in notes[0]


def test_an_incoming_ion_takes_the_sign_of_its_place(campaign):
    pair = "stack: [{material: SrMnO3, layers: 2}, {material: LaAlO3, layers: 2}], supercell: [[1, -1], [1, 1]]"
    text = f"structures: {{sl: {{{pair}, defects: [{{kind: Ti_Al, where: all}}]}}}}\n"
    found = expand(campaign(text + "magnetism: {orders: [AFM-G], moments: {Mn: 3, Ti: 1}}"))
    signs = []
    for one in found[1:]:
        ((place, moment),) = [
            (site.properties["bulk_position"], m)
            for site, m in zip(one.built.structure, one.moments, strict=True)
            if site.species_string == "Ti"
        ]
        assert moment == (-1) ** sum(int(x // 1) for x in place)
        signs.append(moment)
    assert len(signs) >= 2


def test_an_order_that_does_not_fit_stops_or_is_skipped_and_said(campaign):
    text = "structures: {sl: {stack: [{material: SrMnO3, layers: 2}]}}\n"
    text += "hubbard: {}\nmagnetism: {orders: [FM, AFM-G], moments: {Mn: 3}"
    fits = r"c\.yaml:\d+: magnetism: .*AFM-G of SrMnO3 does not fit .*\[\[1, -1\], \[1, 1\]\] holds it \[sl\]"
    with pytest.raises(CampaignError, match=fits):
        expand(campaign(text + "}"))
    notes = []
    assert [one.order for one in expand(campaign(text + ", unfit: skip}"), notes=notes)] == ["FM"]
    assert len(notes) == 1


def test_interfaces_that_cannot_all_be_parallel_are_told(campaign):
    text = "structures: {sl: {stack: [{material: CaRuO3, layers: 2}, {material: LaNiO3, layers: 2}]}}\nhubbard: {}\n"
    notes = []
    expand(
        campaign(
            text + "magnetism: {orders: [{block: {CaRuO3: AFM-A, LaNiO3: FM}, interface: parallel}], "
            "moments: {Ru: 1.5, Ni: 1}}"
        ),
        notes=notes,
    )
    assert "parallel, antiparallel; the patterns allow no other" in notes[0]


def test_interfaces_are_told_only_where_they_were_asked_for(campaign):
    text = "structures: {sl: {stack: [{material: CaRuO3, layers: 2}, {material: LaNiO3, layers: 2}]}}\nhubbard: {}\n"
    notes = []
    expand(
        campaign(text + "magnetism: {orders: [{block: {CaRuO3: AFM-A, LaNiO3: FM}}], moments: {Ru: 1.5, Ni: 1}}"),
        notes=notes,
    )
    assert notes == []


def test_two_orders_that_are_the_same_in_a_cell_are_told(campaign):
    text = "structures: {sl: {stack: [{material: CaRuO3, layers: %d}, {material: LaNiO3, layers: 1}]}}\n"
    text += "magnetism: {orders: [FM, {block: {CaRuO3: AFM-A, LaNiO3: FM}}], moments: {Ru: 1.5, Ni: 1}}"
    notes = []
    expand(campaign(text % 1), notes=notes)
    (said,) = [note for note in notes if "the same as" in note]
    assert said.startswith("sl: ")
    assert said.endswith(" is the same as FM in this cell; leave one of them out")
    notes = []
    expand(campaign(text % 2), notes=notes)
    assert not [note for note in notes if "the same as" in note]


def test_a_substrate_of_another_kind_is_refused(campaign):
    text = "structures: {sl: {stack: [{material: CrN, layers: 2}], normal: [1, 1, 1], in_plane: Cr2O3}}"
    with pytest.raises(
        CampaignError, match="Cr2O3 and CrN are not both cubic or both hexagonal; put Cr2O3 in the stack"
    ):
        build_structures(campaign(text))


def test_a_stacking_fault_is_told(campaign):
    notes = []
    build_structures(
        campaign("structures: {sl: {stack: [{material: Cr2O3, layers: 3}], normal: [0, 0, 0, 1]}}"), notes=notes
    )
    assert "is a stacking fault" in notes[0]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("thickness: 0.1 nm", "1 Å of SrTiO3 are less than one layer, which is 3.905 Å thick"),
        ("thickness: same", "thickness: same is that of the first block"),
        ("layers: 2, thickness: 1 nm", "give either layers or thickness"),
        ("layers: 2}], supercell: [[1, 1], [1, 1]], x: [{", "unknown key 'x'"),
        ("layers: 2}], supercell: [[1, 1], [1, 1]], defects: [{kind: V_O", "determinant 0"),
        ("layers: 2}], supercell: 2, defects: [{kind: V_O", "2 is no supercell"),
        ("layers: 2}], in_plane: -1, defects: [{kind: V_O", "-1 is no lattice constant"),
        ("layers: 2}], interfaces: {shift: [.nan, 0]}, defects: [{kind: V_O", "shift: .*give auto, all"),
        ("layers: 2}], interfaces: {gap: 0.1}, defects: [{kind: V_O", "gap of 0.1 Å; give auto or 0.3 to 20"),
        ("layers: 2}], interfaces: {termination: [TiO3]}, defects: [{kind: V_O", "planes of SrTiO3 .* are SrO, TiO2"),
        ("layers: 2}], interfaces: {surfaces: [SrO]}, defects: [{kind: V_O", "give the lowest and the highest plane"),
        ("layers: 2}], poisson: [0.3], defects: [{kind: V_O", "is no Poisson ratio"),
        ("layers: 2}], tilts: {SrTiO3: a-a-}, defects: [{kind: V_O", "write a letter and"),
        ("layers: 2}], tilts: {SrTiO3: a-a-c+}, defects: [{kind: V_O", r"does not fit the supercell .* holds it"),
        ("layers: 2}], tilts: {KTaO3: a0a0c+}, defects: [{kind: V_O", "KTaO3 is not in the stack"),
        ("layers: 2}], vacuum: -1, defects: [{kind: V_O", "-1; give 0 or more"),
        ("layers: 2}], symmetric: true, defects: [{kind: V_O", "symmetric is about a slab"),
        ("layers: 2}], normal: {SrTiO: [0, 0, 1]}, defects: [{kind: V_O", "SrTiO is not in the stack"),
        ("layers: 2}], defects: [{kind: V_N, where: all", "no N at all"),
        ("layers: 2}], defects: [{kind: [V_O, V_Ti], where: all, along: [0, 0, 0]", "is no direction"),
        ("layers: 2}], defects: [{kind: V_O, along: [0, 0, 1]", "along is the direction of a complex"),
        ("layers: 2}], defects: [{kind: V_O, where: {material: SrTiO3, layers: 3}", "has the layers 1 to 2, not 3"),
        ("layers: 2}], defects: [{kind: V_O, where: {material: all, layers: 3}", "layers: are those of a material"),
        ("layers: 2}], magnetism: {moments: {Ti: -1}}, defects: [{kind: V_O, where: all", "is no size of a moment"),
        ("layers: 2}], magnetism: {orders: [{layers: {SrTiO3: x}}]}, defects: [{kind: V_O, where: all", "signs 'x'"),
    ],
)  # fmt: skip
def test_what_a_structure_cannot_be_is_told_in_one_line(campaign, line, message):
    with pytest.raises(CampaignError, match=message) as caught:
        expand(campaign(f"structures: {{sl: {{stack: [{{material: SrTiO3, {line}}}]}}}}"))
    assert "\n" not in str(caught.value)
    assert "c.yaml:4: structures.sl" in str(caught.value)
