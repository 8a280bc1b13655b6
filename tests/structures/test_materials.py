from __future__ import annotations

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Composition

from heterodft.errors import StructureError
from heterodft.structures.materials import PROTOTYPES, build_material, read_material
from heterodft.structures.reference_lattices import REFERENCES


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
    assert material.source == REFERENCES[name].source


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
    with pytest.raises(
        StructureError, match=f"material {formula}: {formula} is not a perovskite formula, .*such as SrTiO3"
    ):
        build_material(formula, prototype="perovskite", a=4.0)


def test_a_material_without_reference_lattice_asks_for_one():
    with pytest.raises(StructureError, match="material BaSnO3: no reference lattice constant; give a:"):
        build_material("BaSnO3")


@pytest.mark.parametrize("a", [-3.9, 0.0, 0.39, 39.05, float("nan")])
def test_a_lattice_constant_that_no_crystal_has_is_refused(a):
    with pytest.raises(StructureError, match=r"SrTiO3: a = .* Å is no lattice constant"):
        build_material("SrTiO3", a=a)


IDEAL_SPINEL = {"prototype": "spinel", "a": 8.0, "parameters": {"u": 0.375}}
IDEAL_WURTZITE = {"prototype": "wurtzite", "a": 3.0, "c": 3 * np.sqrt(8 / 3)}


@pytest.mark.parametrize(
    ("name", "options", "element", "anion", "cutoff", "lengths"),
    [
        ("MgO", {}, "Mg", "O", 2.5, [4.211 / 2] * 6),
        ("GaAs", {"prototype": "zincblende", "a": 5.653}, "Ga", "As", 2.7, [5.653 * np.sqrt(3) / 4] * 4),
        ("CaF2", {"prototype": "fluorite", "a": 5.463}, "Ca", "F", 2.6, [5.463 * np.sqrt(3) / 4] * 8),
        # ideal oxygen lattice: a/8 times sqrt(3) and 2
        ("MgAl2O4", IDEAL_SPINEL, "Mg", "O", 2.1, [np.sqrt(3)] * 4),
        ("MgAl2O4", IDEAL_SPINEL, "Al", "O", 2.1, [2.0] * 6),
        (
            "GaN",
            {"prototype": "wurtzite", "a": 3.0, "c": 3 * np.sqrt(8 / 3)},
            "Ga",
            "N",
            2.2,
            [3 * np.sqrt(3 / 8)] * 4,
        ),
    ],
)
def test_cations_of_every_prototype_are_coordinated_as_they_should(  # noqa: PLR0917
    name, options, element, anion, cutoff, lengths
):
    cell = build_material(name, **options).cell
    np.testing.assert_allclose(neighbours(cell, element, anion, cutoff=cutoff), lengths, rtol=1e-9)


@pytest.mark.parametrize(("name", "short", "long"), [("Cr2O3", 1.965, 2.016), ("Al2O3", 1.855, 1.972)])
def test_corundum_cations_have_three_short_and_three_long_bonds(name, short, long):
    lengths = neighbours(build_material(name).cell, name[:2], "O", cutoff=2.2)
    np.testing.assert_allclose(lengths, [short] * 3 + [long] * 3, atol=0.005)


@pytest.mark.parametrize("name", sorted(set(REFERENCES) - {"LSAT"}))
def test_every_reference_material_builds_and_says_where_its_numbers_come_from(name):
    material = build_material(name)
    assert material.cell.composition.reduced_formula == Composition(name).reduced_formula
    assert material.prototype == REFERENCES[name].prototype
    assert len(material.source) > 20
    assert material.cell.distance_matrix[~np.eye(len(material.cell), dtype=bool)].min() > 1.7


def test_the_mismatch_of_the_calcium_zirconate_interface_is_the_published_one():
    film, substrate = (build_material(name).cell.lattice.a for name in ("CaZrO3", "KTaO3"))
    assert 100 * (film / substrate - 1) == pytest.approx(0.58, abs=0.01)


def test_a_parameter_that_a_prototype_lacks_is_refused():
    with pytest.raises(
        StructureError, match="material Cr2O3: this prototype has no 'z_cationn'; did you mean 'z_cation'"
    ):
        build_material("Cr2O3", parameters={"z_cationn": 0.35})
    with pytest.raises(StructureError, match="material MgO: this prototype has no 'c'"):
        build_material("MgO", c=5.0)


def test_a_hexagonal_prototype_needs_both_constants():
    with pytest.raises(StructureError, match="material GaN: no reference lattice constant; give c: in Å"):
        build_material("GaN", prototype="wurtzite", a=3.19)


def test_a_material_comes_from_any_file_that_pymatgen_reads(tmp_path):
    original = build_material("Cr2O3").cell
    original.to(str(tmp_path / "Cr2O3.cif"))
    material = read_material("Cr2O3", tmp_path / "Cr2O3.cif")
    assert (material.prototype, material.source) == ("corundum", "Cr2O3.cif")
    assert StructureMatcher(scale=False).fit(material.cell, original)


def test_a_file_that_cannot_be_read_or_is_disordered_is_refused(tmp_path):
    with pytest.raises(StructureError, match=r"material X: cannot read .*gone\.cif"):
        read_material("X", tmp_path / "gone.cif")
    mixed = build_material("MgO").cell
    mixed.replace(0, {"Mg": 0.5, "Ni": 0.5})
    mixed.to(str(tmp_path / "mixed.cif"))
    with pytest.raises(StructureError, match="partly occupied sites"):
        read_material("X", tmp_path / "mixed.cif")


@pytest.mark.parametrize("name", ["SrTiO3", "MgO", "Cr2O3", "GaAs", "MgAl2O4", "CaF2", "GaN"])
def test_a_file_of_a_prototype_is_recognised_wherever_its_origin_is(name, tmp_path):
    options = {
        "GaAs": {"prototype": "zincblende", "a": 5.653},
        "MgAl2O4": {"prototype": "spinel", "a": 8.083},
        "CaF2": {"prototype": "fluorite", "a": 5.463},
        "GaN": {"prototype": "wurtzite", "a": 3.189, "c": 5.185},
    }
    material = build_material(name, **options.get(name, {}))
    moved = material.cell.copy()
    moved.translate_sites(range(len(moved)), (0.5, 0.5, 0.5) if name != "Cr2O3" else (0, 0, 0.5))
    moved.to(filename=str(tmp_path / "x.cif"))
    read = read_material(name, tmp_path / "x.cif")
    assert read.prototype == material.prototype
    for site in material.cell:
        assert min(site.distance(other) for other in read.cell if other.specie == site.specie) < 1e-3


def test_a_file_of_something_else_is_not_taken_for_a_prototype(tmp_path):
    tetragonal = build_material("SrTiO3").cell.copy()
    tetragonal.apply_strain([0, 0, 0.02])
    tetragonal.to(filename=str(tmp_path / "t.cif"))
    assert read_material("SrTiO3", tmp_path / "t.cif").prototype == "file"
    swapped = build_material("MgO").cell.copy()
    swapped.translate_sites([0], (0.1, 0, 0))
    swapped.to(filename=str(tmp_path / "s.cif"))
    assert read_material("MgO", tmp_path / "s.cif").prototype == "file"
