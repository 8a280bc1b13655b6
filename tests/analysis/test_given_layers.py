from __future__ import annotations

import json

import pytest

from heterodft.analysis.layers import find_layering
from heterodft.errors import ReaderError
from heterodft.structures import Block, build_material, build_superlattice

STACK = build_superlattice([Block(build_material("SrTiO3"), 1), Block(build_material("LaAlO3"), 1)])
LISTS = [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


@pytest.mark.parametrize("text", ["1-5;6-10", "1,2,3-5; 6 7 8 9 10;", "6-10;1-5"])
def test_a_text_counts_sites_from_one(text):
    layering = find_layering(STACK, layers=text)
    assert layering.source == "given"
    assert [(n.label, n.sites) for n in layering.layers] == [
        ("SrTiO3:1", (0, 1, 2, 3, 4)),
        ("LaAlO3:1", (5, 6, 7, 8, 9)),
    ]


def test_a_list_and_a_mapping_count_sites_from_zero():
    assert [set(n.sites) for n in find_layering(STACK, layers=LISTS).layers] == [set(own) for own in LISTS]
    named = find_layering(STACK, layers={"top": LISTS[1], "bottom": LISTS[0]})
    assert [n.label for n in named.layers] == ["bottom", "top"]
    assert [n.formula for n in named.layers] == ["SrTiO3", "LaAlO3"]


def test_given_layers_hold_the_planes_of_their_sites_and_fill_the_period():
    layering = find_layering(STACK, layers="1-2;3-5,6-10")
    assert [[p.formula for p in n.planes] for n in layering.layers] == [["SrO"], ["TiO2", "LaO", "AlO2"]]
    assert layering.layers[-1].top - layering.layers[0].bottom == pytest.approx(layering.period)
    assert layering.notes == ()


def test_a_layer_across_the_cell_boundary_stays_together():
    layering = find_layering(STACK, layers="8-10,1-2;3-7")
    assert [n.label for n in layering.layers][1].startswith("Sr")
    top = layering.layers[1]
    assert [p.formula for p in top.planes] == ["AlO2", "SrO"]
    assert top.planes[0].height < top.planes[1].height < top.planes[0].height + 3


def test_layers_between_one_another_are_told():
    mixed = find_layering(STACK, layers="1,3,6,8;2,4,5,7,9,10")
    assert mixed.notes == ("the layers given lie between one another; where one begins and ends is not sharp",)
    assert sorted(site for n in mixed.layers for site in n.sites) == list(range(10))


@pytest.mark.parametrize("name", ["layers.yaml", "layers.yml", "layers.json"])
@pytest.mark.parametrize("data", [["1-5", [6, 7, "8-10"]], {"sto": "1-5", "lao": [6, 7, 8, 9, 10]}])
def test_a_file_holds_a_list_or_a_mapping_from_one(tmp_path, name, data):
    path = tmp_path / name
    path.write_text(json.dumps(data))
    for given in (path, str(path)):
        layering = find_layering(STACK, layers=given)
        assert [set(n.sites) for n in layering.layers] == [set(own) for own in LISTS]


def test_keywords_choose_how_layers_are_found():
    assert find_layering(STACK, layers="labels").source == "labels"
    assert find_layering(STACK, layers="composition").source == "composition"
    planes = find_layering(STACK, layers="planes")
    assert [n.label for n in planes.layers] == ["SrO:1", "TiO2:1", "LaO:1", "AlO2:1"]
    bare = STACK.copy()
    bare.remove_site_property("layer")
    assert [n.label for n in find_layering(bare, layers="planes").layers] == [n.label for n in planes.layers]
    with pytest.raises(ReaderError, match="sites carry no layer; layers cannot be told"):
        find_layering(bare, layers="labels")


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("1-5;5-10", "layers: site 5 is named twice; the structure has the sites 1 to 10"),
        ("1-5;6-9", "layers: site 10 is in no layer; the structure has the sites 1 to 10"),
        ("1-5;6-12", "layers: sites 11, 12 are not in the structure; the structure has the sites 1 to 10"),
        ("0-4;5-9", "layers: site 0 is not in the structure; the structure has the sites 1 to 10"),
        ([[0, 1], [2, 3]], r"layers: sites 4, 5, 6, 7, 8, 9 are in no layer; the structure has the sites 0 to 9"),
        ([[0.5]], "layers: 0.5 is no number of a site; give site lists"),
        ([[0], []], "layers: a layer without sites"),
        ("5-1", "layers: the range 5-1 runs backwards; write 1-5"),
        ("1-5;x3", "layers: 'x3' is no number of a site and no range"),
        (7, "layers: 7 is neither a list nor a mapping"),
        ("composition ", "layers: 'composition' is no number of a site"),
        ("compositon", "layers: 'compositon'; did you mean 'composition'"),
    ],
)
def test_lists_that_do_not_fit_are_told_in_one_line(layers, message):
    with pytest.raises(ReaderError, match=message) as told:
        find_layering(STACK, layers=layers)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(("name", "text"), [("a.yaml", "[1, 2"), ("a.json", "{"), ("a.yaml", "3"), ("b.yaml", None)])
def test_files_that_cannot_be_read_are_told(tmp_path, name, text):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ReaderError, match=f"{name}"):
        find_layering(STACK, layers=tmp_path / name)


def test_an_axis_that_is_none_is_told():
    with pytest.raises(ReaderError, match="axis: 'z'; give a, b or c"):
        find_layering(STACK, axis="z")


def test_a_single_layer_of_everything_is_a_comma_for_a_semicolon():
    with pytest.raises(ReaderError, match=r"'1-5,6-10' is a single layer; put ; between layers: 1-5;6-10"):
        find_layering(STACK, layers="1-5,6-10")
