from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from heterodft.analysis.readers.espresso.xml import _element
from heterodft.errors import InputError
from heterodft.structures.materials import build_material
from heterodft.templates.hubbard import HubbardU
from heterodft.templates.species import MAXIMUM_KINDS, build_species_table


def chain(elements):
    """Atoms on a line; only their elements matter here."""
    return Structure(Lattice.cubic(30), elements, [[i / len(elements), 0, 0] for i in range(len(elements))])


def test_without_spin_and_u_a_species_is_an_element():
    table = build_species_table(build_material("SrTiO3").cell, moments=None, hubbard=[])
    assert table.site_labels == ("Sr", "Ti", "O", "O", "O")
    assert [(s.label, s.element, s.u, s.moment) for s in table.species] == [
        ("Sr", "Sr", 0.0, 0.0),
        ("Ti", "Ti", 0.0, 0.0),
        ("O", "O", 0.0, 0.0),
    ]


def test_two_moments_on_one_element_make_two_species():
    table = build_species_table(
        chain(["Ti", "O", "Ti", "Ti"]), moments=[1.0, 0.0, -1.0, 1.0], hubbard=[HubbardU("Ti", "3d", 4.0)]
    )
    assert table.site_labels == ("Ti1", "O", "Ti2", "Ti1")
    assert [(s.label, s.u, s.moment) for s in table.species] == [
        ("Ti1", 4.0, 1.0),
        ("O", 0.0, 0.0),
        ("Ti2", 4.0, -1.0),
    ]


def test_no_moment_is_a_species_of_its_own_beside_a_moment():
    assert build_species_table(chain(["Ti", "Ti"]), moments=[1, 0], hubbard=[]).site_labels == ("Ti1", "Ti2")


@given(st.lists(st.tuples(st.sampled_from(["Ti", "O", "La"]), st.sampled_from([-1.0, 0.0, 1.0])), min_size=1))
@settings(max_examples=40, deadline=None)
def test_sites_share_a_species_exactly_when_element_and_moment_agree(atoms):
    table = build_species_table(chain([e for e, _ in atoms]), moments=[m for _, m in atoms], hubbard=[])
    assert len(table.site_labels) == len(atoms)
    assert len(table.species) == len({s.label for s in table.species}) == len(set(atoms))
    by_label = {s.label: (s.element, s.moment) for s in table.species}
    assert [by_label[label] for label in table.site_labels] == atoms
    assert all(len(label) <= 3 for label in by_label)


def test_ten_species_are_written_with_labels_of_three_characters_and_eleven_refused():
    moments = [0.1 * i for i in range(MAXIMUM_KINDS + 1)]
    table = build_species_table(chain(["Ti"] * 10), moments=moments[:10], hubbard=[])
    assert len(set(table.site_labels)) == 10
    assert {len(label) for label in table.site_labels} == {3}
    with pytest.raises(InputError, match=r"Ti11 needs 11 species .*takes 10; give fewer distinct moments or U"):
        build_species_table(chain(["Ti"] * 11), moments=moments, hubbard=[])


@pytest.mark.parametrize("element", ["Ti", "O", "K", "V", "Y"])
def test_the_reader_recovers_the_element_from_each_of_ten_labels(element):
    labels = build_species_table(chain([element] * 10), moments=[0.1 * i for i in range(10)], hubbard=[]).site_labels
    assert {_element(label) for label in labels} == {element}


@pytest.mark.parametrize("element", ["N", "C", "B", "P"])
def test_the_reader_recovers_elements_whose_letter_begins_another(element):
    labels = build_species_table(chain([element] * 10), moments=[0.1 * i for i in range(10)], hubbard=[]).site_labels
    assert {_element(label) for label in labels} == {element}
