from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_results import made_result

from heterodft.analysis.equal_layers import equal_groups
from heterodft.analysis.layers import find_layering
from heterodft.analysis.moments import LayerMoments
from heterodft.analysis.result import SiteValues
from heterodft.structures import Block, build_material, build_superlattice


@pytest.fixture(scope="module")
def nitrides():
    """(ScN)2/(CrN)2, of space group P4/nmm: ScN:1 and ScN:2 are equal, and CrN:1 and CrN:2."""
    blocks = [build_material(name, prototype="rocksalt", a=a) for name, a in (("ScN", 4.52), ("CrN", 4.15))]
    return build_superlattice([Block(one, 2) for one in blocks])


def with_moments(structure, chromium, **values):
    """Moments of two chromium atoms of the cell by kind, nothing else with a moment."""
    places = [i for i, site in enumerate(structure) if site.specie.symbol == "Cr"]
    kinds = {}
    for kind, both in chromium.items():
        moments = np.zeros(len(structure))
        moments[places] = both
        kinds[kind] = SiteValues(kind, (5.0,) * len(structure), tuple(moments.tolist()))
    return replace(made_result(structure), sites=kinds, notes=(), **values)


def notes_of(result, by="layer"):
    return [note for note in LayerMoments.from_result(result, by=by).notes if "symmetry" in note]


def test_the_equal_layers_of_a_symmetric_superlattice_are_found(nitrides):
    layers = find_layering(nitrides).layers
    pairs = equal_groups(with_moments(nitrides, {"sphere": (2.2, 2.2)}), layers)
    assert [(layers[i].label, layers[j].label) for i, j in pairs] == [("ScN:1", "ScN:2"), ("CrN:1", "CrN:2")]


def test_antiparallel_layers_are_equal_in_size(nitrides):
    assert not notes_of(with_moments(nitrides, {"Löwdin": (2.3, -2.3)}))
    (note,) = notes_of(with_moments(nitrides, {"Löwdin": (2.3, -2.2)}))
    assert "CrN:1 and CrN:2 are equal by the symmetry of the cell, but have 2.300 and -2.200 μB by Löwdin" in note


def test_layers_of_one_material_at_unlike_places_are_not_equal():
    thick = build_superlattice([Block(build_material("SrTiO3"), 3), Block(build_material("LaAlO3"), 1)])
    result = made_result(thick, moments=np.where([s.specie.symbol == "Ti" for s in thick], [0.5] * len(thick), 0.0))
    pairs = equal_groups(result, find_layering(thick).planes)
    labels = [plane.label for plane in find_layering(thick).planes]
    assert ("SrTiO3:1 TiO2", "SrTiO3:2 TiO2") not in [(labels[i], labels[j]) for i, j in pairs]


def test_equal_moments_need_no_note(nitrides):
    assert not notes_of(with_moments(nitrides, {"sphere": (2.2, 2.2), "Löwdin": (2.3, 2.305)}))


def test_projections_that_differ_where_the_density_does_not_are_an_error_of_the_mesh(nitrides):
    result = with_moments(nitrides, {"sphere": (2.2, 2.2), "Löwdin": (2.307, 2.263)})
    assert notes_of(result) == [
        "CrN:1 and CrN:2 are equal by the symmetry of the cell, but have 2.200 and 2.200 μB by sphere, 2.307 and "
        "2.263 μB by Löwdin; their density is alike: the difference is the error of projections on this mesh"
    ]
    assert notes_of(result, by="plane")[0].startswith("CrN:1 CrN and CrN:2 CrN are equal")


def test_a_density_that_differs_broke_the_symmetry(nitrides):
    (note,) = notes_of(with_moments(nitrides, {"sphere": (2.9, 1.5), "Löwdin": (3.0, 1.6)}))
    assert note.endswith("the electrons broke the symmetry, or the SCF cycle or its mesh is too coarse")


def test_without_spheres_both_reasons_are_named(nitrides):
    (note,) = notes_of(with_moments(nitrides, {"Löwdin": (2.3, 2.2)}))
    assert note.endswith("take the difference as the error of this mesh, or the electrons broke the symmetry")


def test_of_vectors_nothing_is_said(nitrides):
    result = with_moments(nitrides, {"sphere": (2.9, 1.5)})
    vectors = np.zeros((len(nitrides), 3))
    directed = replace(result.sites["sphere"], vectors=vectors)
    assert not notes_of(replace(result, sites={"sphere": directed}))
