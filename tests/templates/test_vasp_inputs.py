from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from pymatgen.io.vasp import Incar, Kpoints, Poscar

from heterodft.errors import InputError
from heterodft.structures import Block, assign_moments, build_material, build_superlattice, enumerate_defects
from heterodft.templates.hubbard import HubbardU, StartingOccupations
from heterodft.templates.potcars import Potcar
from heterodft.templates.protocols import resolve_settings
from heterodft.templates.setup import Setup
from heterodft.templates.vasp import write_vasp

VALENCES = {"K": 9.0, "Ta": 11.0, "La": 11.0, "Al": 3.0, "O": 6.0, "Sr": 10.0, "Ti": 12.0, "Ru": 14.0, "Ni": 16.0}
SYMBOLS = {"K": "K_sv", "Ta": "Ta_pv", "Ti": "Ti_sv", "Ru": "Ru_pv", "Ni": "Ni_pv", "Sr": "Sr_sv"}
TANTALATE = build_superlattice(
    [Block(build_material("KTaO3"), 2), Block(build_material("LaAlO3"), 1)], in_plane="KTaO3"
)
TITANATE = build_superlattice([Block(build_material("SrTiO3"), 2)], supercell=(2, 2))
SLAB = build_superlattice(
    [Block(build_material("SrTiO3"), 2), Block(build_material("LaAlO3"), 1)], in_plane="SrTiO3", vacuum=12
)
MAGNETS = build_superlattice(
    [Block(build_material("CaRuO3", formula="SrRuO3"), 1), Block(build_material("LaNiO3"), 1)], in_plane="LaNiO3"
)
LAYERED = HubbardU("Ta", "5d", 1.0, layers=(("KTaO3:1", 2.0),))
SHELLS = {-1: None, 1: "p", 2: "d", 3: "f"}


@dataclass(frozen=True)
class Reread:
    """What VASP would make of a deck, site by site in the builder's order."""

    incar: Incar
    kpoints: Kpoints
    blocks: list[tuple[str, int]]
    elements: list[str]
    positions: list[Any]
    moments: list[Any] | None
    u: list[tuple[str | None, float, float]]


def in_order(values, order):
    found: list[Any] = [None] * len(order)
    for value, index in zip(values, order, strict=True):
        found[index] = value
    return found


def reread(deck):
    lines = deck.files["POSCAR"].splitlines()
    blocks = list(zip(lines[5].split(), map(int, lines[6].split()), strict=True))
    order = json.loads(deck.files["site_order.json"])["order"]
    incar = Incar.from_str(deck.files["INCAR"])
    cell = Poscar.from_str(deck.files["POSCAR"]).structure
    by_block = list(zip(*(incar.get(f"LDAU{x}", [0] * len(blocks)) for x in "LUJ"), strict=True))
    assert len(by_block) == len(blocks)
    if "LDAUL" not in incar:
        by_block = [(-1, 0, 0)] * len(blocks)
    by_site = [(SHELLS[ell], u, j) for (_, n), (ell, u, j) in zip(blocks, by_block, strict=True) for _ in range(n)]
    moments = incar.get("MAGMOM")
    return Reread(
        incar=incar,
        kpoints=Kpoints.from_str(deck.files["KPOINTS"]),
        blocks=blocks,
        elements=in_order([site.species_string for site in cell], order),
        positions=in_order(cell.frac_coords.tolist(), order),
        moments=None if moments is None else in_order(moments, order),
        u=in_order(by_site, order),
    )


def settings_of(structure, step, **changes):
    return resolve_settings(structure, step, code="vasp", protocol="fast", given=[("campaign", changes)])


def potcars(structure, path=None, enmax=None):
    return {
        element: Potcar(element, SYMBOLS.get(element, element), path, None, VALENCES[element], enmax)
        for element in {site.species_string for site in structure}
    }


def write(structure=TANTALATE, step="static", *, request=None, path=None, enmax=None, version=None, **changes):
    setup = Setup("vasp", structure, step, settings_of(structure, step, **changes), **(request or {}))
    return write_vasp(setup, potcars(structure, path, enmax), version=version)


def tags(*args, **options):
    return Incar.from_str(write(*args, **options).files["INCAR"])


def assert_sites(found, structure):
    assert found.elements == [site.species_string for site in structure]
    difference = np.array(found.positions) - structure.frac_coords
    np.testing.assert_allclose(difference - np.round(difference), 0, atol=1e-9)


def test_u_by_layer_repeats_the_element_in_poscar_and_potcar():
    deck = write(request={"hubbard": (LAYERED,), "moments": assign_moments(TANTALATE, "FM", {"Ta": 1.0})})
    found = reread(deck)
    assert [name for name, _ in found.blocks] == ["K", "O", "Ta", "Ta", "La", "Al"]
    assert deck.files["POTCAR.spec"].split() == ["K_sv", "O", "Ta_pv", "Ta_pv", "La", "Al"]
    assert_sites(found, TANTALATE)
    expected = {2: ("d", 2.0, 0.0), 7: ("d", 1.0, 0.0)}
    assert found.u == [expected.get(i, (None, 0.0, 0.0)) for i in range(len(TANTALATE))]
    assert found.moments == [float(site.species_string == "Ta") for site in TANTALATE]
    assert (found.incar["LDAU"], found.incar["LDAUTYPE"], found.incar["LMAXMIX"]) == (True, 2, 4)


@pytest.mark.parametrize("order", ["FM", "AFM-A", "AFM-C", "AFM-G"])
def test_every_site_keeps_its_sign_in_an_antiferromagnet(order):
    moments = assign_moments(TITANATE, order, {"Ti": 1.25, "O": 0.0})
    found = reread(write(TITANATE, request={"moments": moments}))
    assert_sites(found, TITANATE)
    assert found.moments == moments
    assert found.incar["ISPIN"] == 2
    assert (sum(moments) == 0) == (order != "FM")


@pytest.mark.parametrize("kind", ["V_O", "Ti_Al", "La_K"])
def test_the_sites_around_a_defect_are_where_the_builder_has_them(kind):
    for defect in enumerate_defects(TANTALATE, kind, where="all"):
        structure = defect.structure
        moments = [0.1 * index for index in range(len(structure))]
        found = reread(
            write(structure, request={"moments": moments, "hubbard": (HubbardU("La", "4f", 8.0), LAYERED)})
        )
        assert_sites(found, structure)
        assert found.moments == pytest.approx(moments)
        layers = structure.site_properties["layer"]
        wanted = {"La": ("f", 8.0, 0.0), "Ta1": ("d", 2.0, 0.0), "Ta2": ("d", 1.0, 0.0)}
        sites = zip(found.elements, layers, strict=True)
        keys = [f"Ta{layer}" if element == "Ta" else element for element, layer in sites]
        assert found.u == [wanted.get(key, (None, 0.0, 0.0)) for key in keys]
        assert found.incar["LMAXMIX"] == 6


def test_a_j_anywhere_asks_for_the_scheme_of_liechtenstein():
    hubbard = (HubbardU("Ta", "5d", 2.5, j=0.5), HubbardU("La", "4f", 8.0))
    found = reread(write(request={"hubbard": hubbard}))
    by_element = {"Ta": ("d", 2.5, 0.5), "La": ("f", 8.0, 0.0)}
    assert found.u == [by_element.get(element, (None, 0.0, 0.0)) for element in found.elements]
    assert found.incar["LDAUTYPE"] == 1
    assert (found.incar["LMAXMIX"], found.incar["LASPH"]) == (6, True)


def test_noncollinear_moments_are_vectors_in_the_order_of_the_poscar():
    third = 1 / math.sqrt(3)
    axes = {"CaRuO3": (0.0, 0.0, 1.0), "LaNiO3": (third, third, -third)}
    directions = [axes[name] for name in MAGNETS.site_properties["material"]]
    moments = [{"Ru": 1.5, "Ni": -1.0}.get(site.species_string, 0.0) for site in MAGNETS]
    found = reread(write(MAGNETS, request={"moments": moments, "directions": directions}))
    assert_sites(found, MAGNETS)
    expected = np.array(moments)[:, None] * np.array(directions)
    np.testing.assert_allclose(np.array([list(m) for m in found.moments]), expected, atol=1e-5)
    assert found.incar["LNONCOLLINEAR"] is True
    assert not {"ISPIN", "LSORBIT", "SAXIS"} & set(found.incar)


def test_spin_orbit_takes_cartesian_vectors_and_no_symmetry():
    directions = [(1.0, 0.0, 0.0)] * len(MAGNETS)
    moments = assign_moments(MAGNETS, "FM", {"Ru": 1.5, "Ni": 1.0})
    request = {"moments": moments, "directions": directions, "spin_orbit": True}
    found = reread(write(MAGNETS, request=request))
    np.testing.assert_allclose(np.array([list(m) for m in found.moments]), np.outer(moments, [1, 0, 0]), atol=1e-9)
    assert (found.incar["LSORBIT"], found.incar["ISYM"], found.incar["SAXIS"]) == (True, -1, [0, 0, 1])


def test_a_nonmagnetic_spin_orbit_run_writes_three_zeros_a_site():
    text = write(request={"spin_orbit": True}).files["INCAR"]
    assert f"\nMAGMOM = {3 * len(TANTALATE)}*0\n" in text
    assert "ISPIN" not in text


def test_without_moments_nothing_is_spin_polarized():
    incar = tags()
    assert incar["ISPIN"] == 1
    assert not {"MAGMOM", "AMIX", "AMIX_MAG", "BMIX", "BMIX_MAG", "LNONCOLLINEAR", "LDAU"} & set(incar)


def test_bands_hold_the_electrons_and_twice_as_many_in_spinors():
    electrons = sum(VALENCES[site.species_string] for site in TANTALATE)
    collinear = tags()["NBANDS"]
    assert collinear == math.ceil(electrons / 2) + math.ceil(math.ceil(electrons / 2) * 0.2)
    assert tags(request={"spin_orbit": True})["NBANDS"] == 2 * collinear
    assert "NELECT" not in tags()


def test_the_electrons_of_a_charged_cell_are_counted_only_from_real_potcars(tmp_path):
    path = tmp_path / "POTCAR"
    path.write_text("a POTCAR\n")
    charged = tags(request={"charge": 2}, path=path)
    electrons = sum(VALENCES[site.species_string] for site in TANTALATE)
    assert charged["NELECT"] == electrons - 2
    with pytest.raises(
        InputError, match=r"electrons of a charged cell needs the POTCARs \(.*Ta_pv.*PMG_VASP_PSP_DIR"
    ):
        write(request={"charge": 2})


def test_potcars_are_joined_once_a_block(tmp_path):
    path = tmp_path / "POTCAR"
    path.write_text("a POTCAR\n")
    deck = write(request={"hubbard": (LAYERED,)}, path=path)
    assert deck.files["POTCAR"] == "a POTCAR\n" * 6
    assert "POTCAR.spec" not in deck.files
    assert not any("no POTCAR library" in note for note in deck.notes)


def test_without_potcars_it_is_told_that_electrons_are_estimated():
    assert any("no POTCAR library" in note for note in write().notes)


def test_a_superlattice_relaxes_along_its_normal_alone():
    deck = write(step="relax", version=(6, 4))
    incar = Incar.from_str(deck.files["INCAR"])
    assert (incar["ISIF"], incar["IBRION"]) == (3, 2)
    assert "\nLATTICE_CONSTRAINTS = .FALSE. .FALSE. .TRUE.\n" in deck.files["INCAR"]
    assert not any("LATTICE_CONSTRAINTS" in note for note in deck.notes)
    with pytest.raises(InputError, match=r"cell: c: VASP 5.4 ignores LATTICE_CONSTRAINTS .*6.4 or later"):
        write(step="relax", version=(5, 4))
    assert any("LATTICE_CONSTRAINTS" in note for note in write(step="relax").notes)


def test_a_normal_out_of_line_is_refused_for_cell_c():
    turned = TANTALATE.copy(properties=TANTALATE.properties)
    turned.lattice = type(turned.lattice)(turned.lattice.matrix[:, [2, 0, 1]])
    with pytest.raises(InputError, match="cell: c needs the first two lattice vectors in the xy plane"):
        write(turned, "relax", version=(6, 4))


@pytest.mark.parametrize(("cell", "isif"), [("fixed", 2), ("full", 3)])
def test_other_cells_are_relaxed_without_constraints(cell, isif):
    incar = tags(step="relax", cell=cell, version=(5, 4))
    assert incar["ISIF"] == isif
    assert "LATTICE_CONSTRAINTS" not in incar
    assert incar["EDIFFG"] == pytest.approx(-0.05)


def test_only_relaxations_move_ions():
    for step in ("static", "dos", "bands", "potential", "charge"):
        incar = tags(step=step)
        assert (incar["IBRION"], incar["NSW"]) == (-1, 0)
        assert not {"ISIF", "EDIFFG", "LATTICE_CONSTRAINTS"} & set(incar)


def test_the_dipole_of_a_slab_is_corrected_around_its_matter():
    incar = tags(SLAB, request={"moments": assign_moments(SLAB, "FM", {"Ti": 1.0})})
    assert (incar["LDIPOL"], incar["IDIPOL"]) == (True, 3)
    heights = SLAB.frac_coords[:, 2]
    assert heights.min() < incar["DIPOL"][2] < heights.max()
    assert incar["DIPOL"][2] == pytest.approx((heights.min() + heights.max()) / 2, abs=1e-5)
    assert not {"LDIPOL", "IDIPOL", "DIPOL"} & set(tags())


@pytest.mark.parametrize("lifted", [0.3, 0.5, 0.9])
def test_the_middle_of_the_matter_is_found_when_it_wraps_around_the_cell(lifted):
    moved = SLAB.copy(properties=SLAB.properties)
    moved.translate_sites(range(len(moved)), [0, 0, lifted])
    lowest, highest = SLAB.frac_coords[:, 2].min(), SLAB.frac_coords[:, 2].max()
    middle = tags(moved)["DIPOL"][2] - ((lowest + highest) / 2 + lifted)
    assert middle - round(middle) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("step", ["dos", "bands"])
def test_a_density_handed_on_stays_fixed_in_dos_and_bands(step):
    moments = assign_moments(TANTALATE, "FM", {"Ta": 1.0})
    incar = tags(step=step, request={"parent": "static", "moments": moments, "hubbard": (LAYERED,)})
    assert (incar["ISTART"], incar["ICHARG"], incar["LMAXMIX"]) == (0, 11, 4)
    assert sorted(incar["MAGMOM"]) == sorted(moments)
    assert (incar["LORBIT"], incar["LCHARG"], incar["LWAVE"]) == (11, False, False)


def test_a_static_step_starts_from_the_relaxation_and_still_has_its_moments():
    moments = assign_moments(TITANATE, "AFM-G", {"Ti": 1.0})
    found = reread(write(TITANATE, request={"parent": "relax", "moments": moments}))
    assert (found.incar["ISTART"], found.incar["ICHARG"]) == (1, 1)
    assert found.moments == moments
    alone = tags(TITANATE, request={"moments": moments})
    assert (alone["ISTART"], alone["ICHARG"], alone["LWAVE"], alone["LCHARG"]) == (0, 2, True, True)


@pytest.mark.parametrize(("step", "tag"), [("potential", "LVHAR"), ("charge", "LAECHG")])
def test_a_step_after_static_says_which_grid_it_is_for(step, tag):
    incar = tags(step=step, request={"parent": "static"})
    assert incar[tag] is True
    assert (incar["ISTART"], incar["ICHARG"]) == (1, 1)


def test_lmaxmix_follows_the_highest_shell_in_the_cell():
    aluminate = build_material("LaAlO3").cell
    assert "LMAXMIX" in tags(TANTALATE)
    assert tags(aluminate, request={"hubbard": (HubbardU("La", "4f", 8.0),)})["LMAXMIX"] == 6
    assert tags(TITANATE)["LMAXMIX"] == 4


def test_functionals_are_those_of_the_potcars_or_pbesol():
    assert "GGA" not in tags()
    settings = replace(settings_of(TANTALATE, "static"), xc="PBEsol")
    deck = write_vasp(Setup("vasp", TANTALATE, "static", settings), potcars(TANTALATE))
    assert Incar.from_str(deck.files["INCAR"])["GGA"].upper() == "PS"
    with pytest.raises(InputError, match="functional SCAN is not written yet"):
        write_vasp(Setup("vasp", TANTALATE, "static", replace(settings, xc="SCAN")), potcars(TANTALATE))


def test_vasp_has_no_cold_smearing():
    with pytest.raises(InputError, match="VASP has no cold smearing; give gaussian"):
        write(smearing="cold")


@pytest.mark.parametrize(("kind", "number"), [("gaussian", 0), ("methfessel-paxton", 1), ("fermi-dirac", -1)])
def test_smearings_go_by_the_numbers_of_vasp(kind, number):
    incar = tags(smearing=kind, smearing_width=0.08)
    assert (incar["ISMEAR"], incar["SIGMA"]) == (number, 0.08)


def test_the_density_of_states_is_integrated_with_tetrahedra():
    deck = write(step="dos")
    incar = Incar.from_str(deck.files["INCAR"])
    assert incar["ISMEAR"] == -5
    assert "SIGMA" not in incar
    assert incar["NEDOS"] == 60 / 0.02 + 1
    assert not any("tetrahedra" in note for note in deck.notes)


def test_too_few_points_for_tetrahedra_are_smeared_and_told():
    settings = replace(settings_of(TANTALATE, "dos"), kpoints=(1, 1, 3))
    deck = write_vasp(Setup("vasp", TANTALATE, "dos", settings), potcars(TANTALATE))
    incar = Incar.from_str(deck.files["INCAR"])
    assert (incar["ISMEAR"], incar["SIGMA"]) == (0, 0.05)
    assert any("2 irreducible k-points are too few for VASP's tetrahedra" in note for note in deck.notes)


def test_the_mesh_is_centred_on_gamma_unless_shifted():
    kpoints = reread(write(kpoints=(4, 4, 2), shift_mesh=False)).kpoints
    assert (kpoints.style.name, kpoints.kpts[0], tuple(kpoints.kpts_shift)) == ("Gamma", (4, 4, 2), (0, 0, 0))
    shifted = reread(write(kpoints=(4, 4, 1), shift_mesh=True)).kpoints
    assert (shifted.kpts[0], tuple(shifted.kpts_shift)) == ((4, 4, 1), (0.5, 0.5, 0))


def test_a_band_structure_lists_its_points_with_their_labels():
    settings = settings_of(TANTALATE, "bands")
    kpoints = reread(write(step="bands", request={"parent": "static"})).kpoints
    np.testing.assert_allclose(kpoints.kpts, settings.path.kpoints, atol=1e-9)
    assert kpoints.style.name == "Reciprocal"
    assert len(kpoints.kpts) == kpoints.num_kpts == len(kpoints.kpts_weights)
    labelled = {index: label for index, label in enumerate(kpoints.labels) if label}
    assert labelled == dict(settings.path.labels)


def test_the_explanation_names_every_tag():
    deck = write(request={"hubbard": (LAYERED,), "moments": assign_moments(TANTALATE, "FM", {"Ta": 1.0})})
    explained = {entry.key for entry in deck.entries if entry.file == "INCAR"}
    assert explained == {line.split(" = ")[0] for line in deck.files["INCAR"].splitlines()}
    assert all(entry.origin for entry in deck.entries)


def test_a_cutoff_below_the_hardest_potcar_is_told():
    assert any("below the ENMAX of" in note for note in write(cutoff=300.0, enmax=400.0).notes)
    assert not any("ENMAX" in note for note in write(cutoff=500.0, enmax=400.0).notes)


def test_an_unknown_tag_is_told_with_a_near_match():
    with pytest.raises(InputError, match=r"vasp: VASP has no tag 'LMAXMIXX'; did you mean 'LMAXMIX'\?"):
        write(raw={"LMAXMIXX": 4})


@pytest.mark.parametrize(
    ("tag", "value"),
    [("ISPIN", 2), ("magmom", "15*1"), ("LDAUU", "1 1 1"), ("GGA", "CA"), ("NELECT", 80), ("ISIF", 3)],
)
def test_a_tag_that_contradicts_the_request_is_refused(tag, value):
    with pytest.raises(InputError, match=f"vasp: {tag} = .* contradicts the request: .*force"):
        write(raw={tag: value})


def test_a_tag_that_has_a_name_of_ours_says_which():
    with pytest.raises(InputError, match="vasp: ENCUT is called cutoff in method; give it there"):
        write(raw={"ENCUT": 700})


def test_a_tag_that_says_what_the_request_says_is_taken():
    raw = {"ISPIN": 1, "encut": tags()["ENCUT"], "Algo": "normal", "LASPH": True, "NCORE": 4}
    assert tags(raw=raw) == Incar({**tags(), "NCORE": 4})


def test_a_forced_tag_wins_but_not_over_the_runner():
    incar = tags(forced={"ENCUT": 700, "algo": "All", "ISIF": 2})
    assert (incar["ENCUT"], incar["ALGO"], incar["ISIF"]) == (700, "All", 2)
    for tag in ("ISTART", "ICHARG"):
        with pytest.raises(InputError, match=f"force: {tag} is the program's own to write"):
            write(forced={tag: 0})


def test_starting_occupations_are_refused():
    start = StartingOccupations((1, 0, 0, 0, 0), (0, 0, 0, 0, 0))
    with pytest.raises(InputError, match="VASP starts from given occupations only with a patch"):
        write(request={"hubbard": (HubbardU("Ta", "5d", 2.0, start=start),)})
