from __future__ import annotations

import numpy as np
import pytest

from heterodft.errors import StructureError
from heterodft.structures.materials import PROTOTYPES, REFERENCE_LATTICES, build_material


def neighbours(structure, element, other, *, cutoff):
    """Sorted distances (Å) from the first atom of an element to atoms of another within a cutoff."""
    index = next(i for i, site in enumerate(structure) if site.species_string == element)
    return sorted(
        n.nn_distance for n in structure.get_neighbors(structure[index], cutoff) if n.species_string == other
    )


def test_a_perovskite_cell_has_one_formula_unit():
    cell = build_material("SrTiO3").cell
    assert cell.composition.get_el_amt_dict() == {"Sr": 1, "Ti": 1, "O": 3}
    assert cell.volume == pytest.approx(3.905**3)


def test_the_first_cation_is_twelvefold_and_the_second_sixfold_coordinated():
    cell = build_material("SrTiO3", a=4.0).cell
    np.testing.assert_allclose(neighbours(cell, "Ti", "O", cutoff=3.0), [2.0] * 6)
    np.testing.assert_allclose(neighbours(cell, "Sr", "O", cutoff=3.0), [np.sqrt(8)] * 12)
    np.testing.assert_allclose(neighbours(cell, "Sr", "Ti", cutoff=3.6), [np.sqrt(12)] * 8)


@pytest.mark.parametrize(("name", "a"), [("SrTiO3", 3.905), ("LaAlO3", 3.790), ("KTaO3", 3.989)])
def test_reference_lattice_constants_come_with_their_source(name, a):
    material = build_material(name)
    assert material.cell.lattice.abc == pytest.approx((a, a, a))
    assert material.source == REFERENCE_LATTICES[name][1]


def test_a_given_lattice_constant_wins_and_is_called_given():
    material = build_material("SrTiO3", a=3.95)
    assert material.cell.lattice.a == pytest.approx(3.95)
    assert material.source == "given"


def test_a_material_may_be_called_differently_from_its_formula():
    material = build_material("substrate", formula="SrTiO3")
    assert material.name == "substrate"
    assert material.cell.composition.reduced_formula == "SrTiO3"
    assert material.cell.lattice.a == pytest.approx(3.905)


def test_an_unknown_prototype_is_told_with_a_near_match():
    assert "perovskite" in PROTOTYPES
    with pytest.raises(StructureError, match="SrTiO3: unknown prototype 'perovskit'; did you mean 'perovskite'"):
        build_material("SrTiO3", prototype="perovskit")


def test_a_name_that_is_no_formula_asks_for_one():
    with pytest.raises(StructureError, match=r"material sto-film: .* is no chemical formula; give one"):
        build_material("sto-film", a=3.9)


@pytest.mark.parametrize("formula", ["MgO", "SrTi2O4", "Sr2Ti2O6", "SrTiO2F"])
def test_a_formula_that_is_no_perovskite_is_refused(formula):
    with pytest.raises(StructureError, match=f"material {formula}: a perovskite is written ABX3"):
        build_material(formula, a=4.0)


def test_a_material_without_reference_lattice_asks_for_one():
    with pytest.raises(StructureError, match="material BaSnO3: no reference lattice constant; give a:"):
        build_material("BaSnO3")


@pytest.mark.parametrize("a", [-3.9, 0.0, 0.39, 39.05, float("nan")])
def test_a_lattice_constant_that_no_crystal_has_is_refused(a):
    with pytest.raises(StructureError, match=r"SrTiO3: a = .* Å is no lattice constant"):
        build_material("SrTiO3", a=a)
