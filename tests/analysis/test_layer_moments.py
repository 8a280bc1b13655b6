from __future__ import annotations

import gzip
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_results import made_result
from pymatgen.core import Structure

from heterodft.analysis.charges import LayerCharges
from heterodft.analysis.equal_layers import equal_groups
from heterodft.analysis.layers import find_layering
from heterodft.analysis.moments import LayerMoments
from heterodft.analysis.readers import read_folder
from heterodft.analysis.result import SiteValues
from heterodft.analysis.structure import StructureProfile
from heterodft.errors import ReaderError
from heterodft.structures import Block, build_material, build_superlattice

STACK = build_superlattice([Block(build_material("SrTiO3"), 1), Block(build_material("LaAlO3"), 1)])


@pytest.fixture(scope="module")
def nio_crn(shared_data, tmp_path_factory):
    """The antiferromagnetic NiO/CrN superlattice, laid out as pw.x and projwfc.x leave it."""
    source = shared_data / "qe" / "nio_crn_superlattice_v67"
    folder = tmp_path_factory.mktemp("nio_crn")
    (folder / "nc.save").mkdir()
    names = {"data-file-schema.xml.gz": "nc.save/data-file-schema.xml", "scf.out.gz": "pw.out"}
    for name, target in (names | {"projwfc.out.gz": "projwfc.out"}).items():
        (folder / target).write_bytes(gzip.decompress((source / name).read_bytes()))
    for path in source.glob("nc.pdos*"):
        shutil.copy(path, folder)
    return folder


def test_moments_of_nio_crn_layers_are_the_sums_of_their_atoms(nio_crn):
    moments = LayerMoments.read(nio_crn)
    assert [group.label for group in moments.groups] == ["NiO:1", "NiO:2", "CrN:1", "CrN:2"]
    assert [group.height for group in moments.groups] == pytest.approx(np.arange(4) * 8.31 / 4, abs=1e-3)
    assert moments.kinds == ("sphere", "Löwdin")
    sphere = [1.5673 + 0.1359, -1.5673 - 0.1359, 2.5108 - 0.0850, -2.5113 + 0.0848]
    lowdin = [1.5929 + 0.1477, -1.5930 - 0.1477, 3.0046 - 0.1097, -3.0048 + 0.1096]
    assert moments.moments[:, 0] == pytest.approx(sphere, abs=1e-9)
    assert moments.moments[:, 1] == pytest.approx(lowdin, abs=2e-4)
    assert moments.total == pytest.approx(0, abs=0.005)
    frame = moments.to_frame()
    assert frame["sphere moment of Cr (μB)"].tolist()[2:] == pytest.approx([2.5108, -2.5113])
    assert frame["sphere moment of Cr (μB)"].isna().tolist() == [True, True, False, False]


def test_the_opposite_layers_of_nio_crn_are_equal_and_have_equal_moments(nio_crn):
    result = read_folder(nio_crn)
    layers = find_layering(result.structure).layers
    pairs = [(layers[i].label, layers[j].label) for i, j in equal_groups(result, layers)]
    assert pairs == [("NiO:1", "NiO:2"), ("CrN:1", "CrN:2")]
    assert not [note for note in LayerMoments.from_result(result).notes if "symmetry" in note]


def test_moments_of_nio_crn_layers_agree_with_the_spin_density_in_slabs_in_sign_and_order(nio_crn):
    slabs = np.array([1.7326, -1.7311, 2.8402, -2.8420])  # spin density integrated in quarters of the cell
    moments = LayerMoments.read(nio_crn).moments
    assert moments[:, 1] == pytest.approx(slabs, abs=0.06)
    assert (np.abs(moments[:, 0]) < np.abs(slabs)).all()  # spheres leave something out


def test_planes_and_layers_add_up_to_all_sites():
    result = made_result(STACK)
    layers, planes = LayerMoments.from_result(result), LayerMoments.from_result(result, by="plane")
    total = sum(result.sites["sphere"].moments)
    assert layers.sums == pytest.approx([total])
    assert planes.sums == pytest.approx([total])
    assert layers.missing == pytest.approx([0.5])
    assert planes.moments[:2].sum() == pytest.approx(layers.moments[0, 0])
    assert layers.summary() == "cell: 5.000 μB; sphere: 4.500 μB in all layers, 0.500 μB outside"


@given(st.lists(st.floats(-5, 5), min_size=10, max_size=10), st.permutations(range(10)))
@settings(max_examples=30, deadline=None)
def test_the_order_of_the_sites_does_not_matter(values, order):
    mixed = Structure.from_sites([STACK[i] for i in order])
    moments = LayerMoments.from_result(made_result(mixed, moments=[values[i] for i in order]))
    expected = LayerMoments.from_result(made_result(STACK, moments=values))
    assert moments.moments == pytest.approx(expected.moments, abs=1e-12)
    assert moments.absolute == pytest.approx(expected.absolute, abs=1e-12)
    by_element = dict(zip(moments.elements, moments.by_element[0, 0], strict=True))
    for element, value in zip(expected.elements, expected.by_element[0, 0], strict=True):
        assert by_element[element] == pytest.approx(value, abs=1e-12, nan_ok=True)


def test_an_antiferromagnetic_layer_has_an_absolute_moment():
    moments = LayerMoments.from_result(made_result(STACK, moments=[1, -1, 2, -2, 0, 0, 0, 0, 0, 0]))
    assert moments.moments[0, 0] == 0
    assert moments.absolute[0, 0] == 6


def test_vectors_of_a_noncollinear_run_are_added_as_vectors():
    result = made_result(STACK)
    vectors = np.zeros((10, 3))
    vectors[2], vectors[7] = (1, 0, 0), (0, -2, 0)
    values = SiteValues("sphere", (1.0,) * 10, tuple(vectors[:, 2]), vectors)
    moments = LayerMoments.from_result(replace(result, sites={"sphere": values}))
    assert moments.columns == ("sphere x", "sphere y", "sphere z")
    assert moments.values.tolist() == [[1, 0, 0], [0, -2, 0]]
    assert moments.absolute.tolist() == [[1], [2]]
    assert moments.missing is None
    assert moments.to_frame()["sphere y moment (μB)"].tolist() == [0, -2]


def test_shells_are_shown_where_the_code_told_them():
    shells = np.zeros((10, 4))
    shells[2, 2] = 1.5
    values = SiteValues("sphere", (1.0,) * 10, (0.0,) * 10, shell_moments=shells)
    other = SiteValues("Löwdin", (1.0,) * 10, (0.0,) * 10)
    moments = LayerMoments.from_result(made_result(STACK, sites={"Löwdin": other, "sphere": values}))
    assert moments.kinds == ("sphere", "Löwdin")
    frame = moments.to_frame()
    assert frame["sphere d moment (μB)"].tolist() == [1.5, 0]
    assert not [name for name in frame if "Löwdin d" in name or "sphere p" in name]


def test_everything_is_json_data():
    data = json.loads(json.dumps(LayerMoments.from_result(made_result(STACK)).to_dict(), allow_nan=False))
    assert data["by_element"][0][0][data["elements"].index("La")] is None
    assert data["groups"][0]["sites"] == [0, 1, 2, 3, 4]


def test_what_cannot_be_answered_is_told():
    with pytest.raises(ReaderError, match="not spin-polarized; there are no moments"):
        LayerMoments.from_result(made_result(STACK, moments=False))
    with pytest.raises(ReaderError, match="no charges or moments of sites; set LORBIT = 11"):
        LayerMoments.from_result(made_result(STACK, sites={}))
    with pytest.raises(ReaderError, match="by: 'plan'; did you mean 'plane'"):
        LayerMoments.from_result(made_result(STACK), by="plan")
    other = find_layering(build_superlattice([Block(build_material("SrTiO3"), 3)]))
    with pytest.raises(ReaderError, match="the layers hold 15 sites, the result 10"):
        LayerMoments.from_result(made_result(STACK), layering=other)
    with pytest.raises(ReaderError, match="3 sphere charges of 10 sites"):
        LayerMoments.from_result(made_result(STACK, sites={"sphere": SiteValues("sphere", (1.0,) * 3, None)}))


def test_moments_charges_and_geometry_are_drawn_along_the_layers():
    result = made_result(STACK)
    for quantity in (LayerMoments, LayerCharges, StructureProfile):
        assert quantity.from_result(result).plot().axes
    profile = StructureProfile.from_result(result)
    for what in ("rumpling", "spacing", "thickness", "tilt", "bond angle", "bond length"):
        assert profile.plot(what).axes
