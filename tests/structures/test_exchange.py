from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from pymatgen.core import Structure
from pymatgen.io.vasp import Poscar

from heterodft.errors import HeterodftError, StructureError
from heterodft.structures import (
    Block,
    Interfaces,
    assign_moments,
    build_material,
    build_superlattice,
    describe,
    enumerate_defects,
    layer_labels,
    parse_tilt,
    read_structure,
    tilt_octahedra,
    to_ase,
    write_structure,
)

STO, LAO, KTO, SMO, LMO = (build_material(name) for name in ("SrTiO3", "LaAlO3", "KTaO3", "SrMnO3", "LaMnO3"))
CRN, CR2O3 = build_material("CrN"), build_material("Cr2O3")


def with_moments(structure, order="FM", **moments):
    structure = structure.copy(properties=structure.properties)
    structure.add_site_property("magmom", assign_moments(structure, order, moments))
    return structure


def magnetic_defect():
    host = with_moments(build_superlattice([Block(SMO, 2), Block(LMO, 2)], supercell=(2, 2)), "AFM-G", Mn=3.3)
    return enumerate_defects(host, "Ti_Mn", charge=-1)[0].structure


KINDS = {
    "superlattice": lambda: build_superlattice([Block(STO, 2), Block(LAO, 1)]),
    "leaning": lambda: build_superlattice([Block(KTO, 2), Block(LAO, 2)], normal=(1, 1, 1)),
    "oblique": lambda: build_superlattice([Block(STO, 1), Block(LAO, 1)], supercell=((2, 1), (-1, 1))),
    "general normal": lambda: build_superlattice([Block(STO, 2), Block(LAO, 1)], normal=(2, 1, 3)),
    "slab": lambda: build_superlattice(
        [Block(STO, 2), Block(LAO, 2)], vacuum=12.0, interfaces=Interfaces(surfaces=("TiO2", None))
    ),
    "symmetric slab": lambda: build_superlattice([Block(STO, 2), Block(LAO, 2)], vacuum=12.0, symmetric=True),
    "repeated material": lambda: build_superlattice([Block(STO, 1), Block(LAO, 1), Block(STO, 2)]),
    "oxide and nitride": lambda: build_superlattice(
        [Block(CR2O3, 3), Block(CRN, 2)], normal={"Cr2O3": (0, 0, 0, 1), "CrN": (1, 1, 1)}
    ),
    "tilted": lambda: tilt_octahedra(
        build_superlattice([Block(STO, 2)], supercell=(2, 2)), {"SrTiO3": parse_tilt("a-a-c+", 7.0)}
    ),
    "thickness": lambda: build_superlattice([Block(STO, thickness=8.0), Block(LAO, 1)]),
    "antiferromagnet": lambda: with_moments(build_superlattice([Block(SMO, 2)], supercell=(2, 2)), "AFM-G", Mn=3.3),
    "leaning antiferromagnet": lambda: with_moments(build_superlattice([Block(SMO, 2)], normal=(1, 1, 1)), "AFM-G"),
    "vacancy": lambda: enumerate_defects(KINDS["superlattice"](), "V_O")[0].structure,
    "complex": lambda: enumerate_defects(KINDS["superlattice"](), ["Ti_Al", "V_Ti"])[0].structure,
    "magnetic defect": magnetic_defect,
}


def plain(value):
    return json.loads(json.dumps(value, default=lambda x: x.tolist() if isinstance(x, np.ndarray) else float(x)))


def same(one, other, places=1e-8):
    np.testing.assert_allclose(one.lattice.matrix, other.lattice.matrix, atol=places)
    assert [site.species_string for site in one] == [site.species_string for site in other]
    apart = one.frac_coords - other.frac_coords
    np.testing.assert_allclose(apart - np.round(apart), 0, atol=places)
    assert one.site_properties.keys() == other.site_properties.keys()
    for key, values in one.site_properties.items():
        assert plain(values) == plain(other.site_properties[key]), key
    assert plain(one.properties) == plain(other.properties)


@pytest.mark.parametrize("ending", ["json", "vasp", "cif"])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_structure_comes_back_as_it_was(tmp_path, kind, ending):
    structure = KINDS[kind]()
    write_structure(structure, tmp_path / "new" / "folder", "host")
    back = read_structure(tmp_path / "new" / "folder" / f"host.{ending}")
    same(structure, back)
    assert layer_labels(back) == layer_labels(structure)


@pytest.mark.parametrize("ending", ["json", "vasp", "cif"])
def test_what_comes_back_can_be_described_ordered_and_given_defects(tmp_path, ending):
    structure = KINDS["leaning antiferromagnet"]()
    write_structure(structure, tmp_path, "host")
    back = read_structure(tmp_path / f"host.{ending}")
    assert describe(back).blocks == describe(structure).blocks
    assert describe(back).orders == describe(structure).orders
    assert assign_moments(back, "AFM-G", {"Mn": 2.0}) == assign_moments(structure, "AFM-G", {"Mn": 2.0})
    assert [d.label for d in enumerate_defects(back, "V_O", where="all")] == [
        d.label for d in enumerate_defects(structure, "V_O", where="all")
    ]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_pymatgen_reads_the_same_crystal_from_poscar_and_cif(tmp_path, kind):
    structure = KINDS[kind]()
    write_structure(structure, tmp_path, "host")
    poscar = Poscar.from_file(tmp_path / "host.vasp").structure
    symbols = [site.species_string for site in poscar]
    assert len({s for i, s in enumerate(symbols) if i == 0 or symbols[i - 1] != s}) == sum(
        i == 0 or symbols[i - 1] != s for i, s in enumerate(symbols)
    )  # each element in one run
    np.testing.assert_allclose(poscar.lattice.matrix, structure.lattice.matrix, atol=1e-8)
    assert poscar.composition == structure.composition
    assert poscar.volume == pytest.approx(structure.volume)


def test_a_cif_is_read_by_other_programs(tmp_path):
    structure = KINDS["superlattice"]()
    write_structure(structure, tmp_path, "host")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = Structure.from_file(tmp_path / "host.cif")
    assert read.composition == structure.composition
    assert read.volume == pytest.approx(structure.volume, rel=1e-6)


def test_moments_in_a_cif_lie_along_z(tmp_path):
    structure = KINDS["leaning antiferromagnet"]()
    write_structure(structure, tmp_path, "host")
    text = (tmp_path / "host.cif").read_text()
    rows = [line.split() for line in text.split("_atom_site_moment_crystalaxis_z")[1].splitlines()[1:]]
    rows = [row for row in rows if len(row) == 4 and row[0].startswith("Mn")]
    edges = structure.lattice.matrix / np.array(structure.lattice.abc)[:, None]
    found = np.array([[float(x) for x in row[1:]] for row in rows]) @ edges
    expected = [m for m in structure.site_properties["magmom"] if m]
    np.testing.assert_allclose(found, np.column_stack([np.zeros((2, 2)), expected]), atol=1e-5)


@pytest.mark.parametrize("kind", ["superlattice", "antiferromagnet", "leaning", "magnetic defect"])
def test_a_relaxed_poscar_gets_the_labels_of_its_atoms(tmp_path, kind):
    structure = KINDS[kind]()
    write_structure(structure, tmp_path, "host")
    path = tmp_path / "host.vasp"
    sorted_cell = Poscar.from_file(path).structure
    rng = np.random.default_rng(0)
    moves = rng.uniform(-0.1, 0.1, (len(sorted_cell), 3))
    relaxed = Structure(
        sorted_cell.lattice.matrix * 1.01, sorted_cell.species, sorted_cell.frac_coords, to_unit_cell=True
    )
    for index, move in enumerate(moves):
        relaxed.translate_sites([index], move, frac_coords=False, to_unit_cell=True)
    relaxed.to(str(tmp_path / "other.vasp"), fmt="poscar")
    path.write_text((tmp_path / "other.vasp").read_text())
    back = read_structure(path)
    assert plain(back.site_properties) == plain(structure.site_properties)
    assert [site.species_string for site in back] == [site.species_string for site in structure]
    np.testing.assert_allclose(back.lattice.matrix, 1.01 * structure.lattice.matrix, atol=1e-6)
    apart = back.frac_coords - structure.frac_coords
    shifts = np.linalg.norm((apart - np.round(apart)) @ back.lattice.matrix, axis=1)
    assert shifts.max() < 0.18
    assert shifts.max() > 0.05


def test_a_poscar_of_other_atoms_is_refused(tmp_path):
    write_structure(KINDS["superlattice"](), tmp_path, "host")
    write_structure(KINDS["vacancy"](), tmp_path / "else", "host")
    (tmp_path / "host.vasp").write_text((tmp_path / "else" / "host.vasp").read_text())
    with pytest.raises(StructureError, match=r"host\.vasp has other atoms than host\.json") as caught:
        read_structure(tmp_path / "host.vasp")
    assert "\n" not in str(caught.value)


def test_a_poscar_in_which_two_elements_changed_places_is_refused(tmp_path):
    write_structure(KINDS["superlattice"](), tmp_path, "host")
    text = (tmp_path / "host.vasp").read_text()
    path = tmp_path / "host.vasp"
    path.write_text(text.replace("Sr", "Qq").replace("La", "Sr").replace("Qq", "La"))
    with pytest.raises(StructureError, match=r"other atoms|no POSCAR"):
        read_structure(path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("host.vasp", "nonsense", "no POSCAR"),
        ("host.vasp", "", "no POSCAR"),
        ("host.cif", "nonsense", "no CIF file of heterodft"),
        ("host.cif", "", "no CIF file of heterodft"),
        ("host.json", "{}", "host.json"),
        ("host.json", "[]", "host.json"),
        ("host.json", "nonsense", "host.json"),
    ],
)
def test_a_file_of_something_else_is_refused_in_one_line(tmp_path, name, text, message):
    write_structure(KINDS["superlattice"](), tmp_path, "host")
    (tmp_path / name).write_text(text)
    with pytest.raises(HeterodftError, match=message) as caught:
        read_structure(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_cif_that_is_not_ours_is_refused(tmp_path):
    STO.cell.to(str(tmp_path / "bulk.cif"))
    with pytest.raises(StructureError, match="no CIF file of heterodft"):
        read_structure(tmp_path / "bulk.cif")


def test_a_poscar_without_its_json_says_so(tmp_path):
    write_structure(KINDS["superlattice"](), tmp_path, "host")
    (tmp_path / "host.json").unlink()
    with pytest.raises(StructureError, match=r"host\.json, which is not beside it"):
        read_structure(tmp_path / "host.vasp")


@pytest.mark.parametrize("ending", ["json", "vasp", "cif"])
def test_a_missing_file_is_told(tmp_path, ending):
    with pytest.raises(HeterodftError, match="host"):
        read_structure(tmp_path / f"host.{ending}")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_ase_gets_cell_labels_and_moments(kind):
    structure = KINDS[kind]()
    atoms = to_ase(structure)
    np.testing.assert_allclose(atoms.cell.array, structure.lattice.matrix)
    np.testing.assert_allclose(atoms.get_positions(), structure.cart_coords, atol=1e-9)
    assert atoms.get_chemical_symbols() == [site.species_string for site in structure]
    assert all(atoms.pbc)
    for key in ("material", "block", "layer", "plane"):
        assert atoms.get_array(key).tolist() == list(structure.site_properties[key])
    if "magmom" in structure.site_properties:
        wanted = [m or 0.0 for m in structure.site_properties["magmom"]]
        np.testing.assert_allclose(atoms.get_initial_magnetic_moments(), wanted)
        assert np.abs(wanted).max() > 0


def test_a_name_with_a_quote_in_its_properties_survives_a_cif(tmp_path):
    odd = build_material("O'Neill; #1", formula="SrTiO3", a=3.905)
    structure = build_superlattice([Block(odd, 1), Block(LAO, 1)])
    write_structure(structure, tmp_path, "host")
    for ending in ("json", "vasp", "cif"):
        same(structure, read_structure(tmp_path / f"host.{ending}"))
