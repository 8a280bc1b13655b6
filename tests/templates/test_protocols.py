from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from heterodft.errors import InputError
from heterodft.structures.materials import build_material
from heterodft.structures.superlattice import Block, build_superlattice
from heterodft.templates import protocols
from heterodft.templates.kpoints import k_mesh
from heterodft.templates.protocols import PROTOCOLS, StepSettings
from heterodft.units import RYDBERG

CELL = build_material("SrTiO3").cell
LEANING = build_superlattice([Block(build_material("SrTiO3"), 2)], normal=(1, 1, 1))
STEPS = ("static", "dos")


def resolve_settings(structure, step, *, campaign=None, overrides=None, **options):
    given = [("campaign", campaign or {}), ("step", overrides or {})]
    return protocols.resolve_settings(structure, step, given=given, **options)


def box(a, b, c):
    return Structure(Lattice.orthorhombic(a, b, c), ["Ti"], [[0, 0, 0]])


@pytest.mark.parametrize(
    ("campaign", "step", "cutoff", "origin"),
    [
        ({}, {}, 90, "protocol balanced, free cell"),
        ({"cutoff": 60 * RYDBERG, "density_cutoff": 240 * RYDBERG}, {}, 90, "protocol balanced, free cell"),
        ({"cutoff": 100 * RYDBERG}, {}, 100, "campaign"),
        ({}, {"cutoff": 60 * RYDBERG}, 60, "step"),
        ({"cutoff": 60 * RYDBERG, "cell": "fixed"}, {}, 60, "campaign"),
        ({}, {"cell": "fixed"}, 60, "protocol balanced"),
    ],
)
@pytest.mark.parametrize("name", ["relax-coarse", "relax"])
def test_a_free_cell_has_plane_waves_for_its_stress(name, campaign, step, cutoff, origin):
    superlattice = build_superlattice([Block(build_material("SrTiO3"), 1), Block(build_material("LaAlO3"), 1)])
    found = resolve_settings(superlattice, name, campaign=campaign, overrides=step)
    assert (found.cutoff, found.density_cutoff) == pytest.approx((cutoff * RYDBERG, 4 * cutoff * RYDBERG))
    assert found.origin["cutoff"] == origin
    assert resolve_settings(superlattice, "static", campaign=campaign).cutoff < 101 * RYDBERG
    assert resolve_settings(superlattice, name, campaign={"cutoff": 450.0}, code="vasp").cutoff == 520


def test_divisions_count_reciprocal_vectors_with_two_pi():
    # 2π / 3.905 Å = 1.609 1/Å, in steps of at most 0.25 1/Å
    assert k_mesh(CELL, 0.25) == (7, 7, 7)
    assert k_mesh(box(3.905, 7.81, 30.0), 0.25) == (7, 4, 1)


@given(st.floats(0.15, 2.0), st.sampled_from([CELL, LEANING, box(3, 5, 20)]))
@settings(max_examples=40, deadline=None)
def test_divisions_are_as_few_as_the_spacing_allows(spacing, structure):
    vectors = structure.lattice.matrix
    heights = structure.volume / np.linalg.norm(np.cross(np.roll(vectors, -1, 0), np.roll(vectors, -2, 0)), axis=1)
    mesh, lengths = np.array(k_mesh(structure, spacing)), 2 * np.pi / heights
    assert (lengths / mesh <= spacing * (1 + 1e-5)).all()
    assert ((mesh == 1) | (lengths / np.maximum(mesh - 1, 1) > spacing * (1 - 1e-5))).all()


def test_a_spacing_that_divides_exactly_gains_no_division_from_rounding():
    assert k_mesh(box(np.pi, np.pi, np.pi), 0.2) == (10, 10, 10)


def test_a_mesh_of_sixty_is_taken_and_of_more_refused():
    assert k_mesh(box(np.pi, 5, 5), 2 / 60)[0] == 60
    with pytest.raises(InputError, match=r"kspacing 0\.02 1/Å makes a mesh of 81x81x81; give a wider spacing"):
        k_mesh(CELL, 0.02)


@pytest.mark.parametrize("spacing", [0.0, -0.25])
def test_a_spacing_that_is_not_positive_is_refused(spacing):
    with pytest.raises(InputError, match=r"kspacing .* 1/Å; give a positive spacing such as 0.25"):
        k_mesh(CELL, spacing)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("step", STEPS)
def test_every_protocol_resolves_and_survives_json(protocol, step):
    found = resolve_settings(CELL, step, protocol=protocol)
    assert found.density_cutoff == pytest.approx(4 * found.cutoff)
    assert set(found.origin.values()) == {f"protocol {protocol}"}
    assert StepSettings.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_the_table_is_converted_to_ev():
    fast, balanced = (resolve_settings(CELL, "static", protocol=p) for p in ("fast", "balanced"))
    assert fast.cutoff == pytest.approx(40 * RYDBERG)
    assert balanced.cutoff == pytest.approx(816.3415873796)
    assert balanced.smearing_width == pytest.approx(0.136056931)
    assert balanced.scf_tolerance == pytest.approx(1.3605693e-8)
    assert balanced.dos_energy_step == pytest.approx(0.02)
    assert balanced.kpoints == (7, 7, 7)


def test_protocols_are_ordered_from_coarse_to_fine():
    for step in STEPS:
        for coarse, fine in pairwise(resolve_settings(CELL, step, protocol=p) for p in PROTOCOLS):
            assert coarse.cutoff < fine.cutoff
            assert coarse.kpoints < fine.kpoints
            assert coarse.scf_tolerance > fine.scf_tolerance


@given(
    st.sampled_from(PROTOCOLS),
    st.one_of(st.none(), st.floats(0.12, 1.5)),
    st.one_of(st.none(), st.tuples(*[st.integers(1, 12)] * 3)),
    st.sampled_from([CELL, LEANING]),
)
@settings(max_examples=40, deadline=None)
def test_the_mesh_of_a_density_of_states_is_never_coarser_than_the_static_one(protocol, kspacing, kpoints, structure):
    campaign = {k: v for k, v in {"kspacing": kspacing, "kpoints": kpoints}.items() if v is not None}
    static, dos = (resolve_settings(structure, step, protocol=protocol, campaign=campaign).kpoints for step in STEPS)
    assert all(d >= s for d, s in zip(dos, static, strict=True))


def test_a_campaign_may_refine_the_mesh_of_a_density_of_states_but_not_coarsen_it():
    def mesh(**campaign):
        return resolve_settings(CELL, "dos", campaign=campaign).kpoints

    assert mesh() == mesh(kspacing=0.85) == mesh(kpoints=(2, 2, 2)) == (9, 9, 9)  # 0.18 1/Å
    assert mesh(kspacing=0.1) == (17, 17, 17)
    assert mesh(kpoints=(12, 2, 2)) == (12, 9, 9)


def test_a_density_of_states_is_integrated_with_tetrahedra_whatever_the_campaign_smears():
    campaign = {"smearing": "gaussian", "smearing_width": 0.2, "shift_mesh": True, "empty_bands": 0.1}
    static, dos = (resolve_settings(CELL, step, protocol="fast", campaign=campaign) for step in STEPS)
    assert (static.smearing, static.smearing_width, static.empty_bands) == ("gaussian", 0.2, 0.1)
    assert (dos.smearing, dos.smearing_width, dos.empty_bands, dos.shift) == ("tetrahedra", 0.0, 0.4, (0, 0, 0))


def test_the_step_wins_over_the_campaign_and_the_campaign_over_the_protocol():
    found = resolve_settings(CELL, "static", campaign={"cutoff": 500.0, "mixing": 0.1}, overrides={"cutoff": 600.0})
    assert (found.cutoff, found.mixing, found.density_cutoff) == (600.0, 0.1, 2400.0)
    assert (found.origin["cutoff"], found.origin["mixing"]) == ("step", "campaign")
    assert found.origin["smearing"] == "protocol balanced"


def test_a_mesh_is_traced_to_who_gave_it_or_its_spacing():
    def mesh(**given):
        found = resolve_settings(CELL, "static", **given)
        return found.kpoints, found.origin["kpoints"]

    assert mesh() == ((7, 7, 7), "protocol balanced")
    assert mesh(campaign={"kspacing": 0.5}) == ((4, 4, 4), "campaign")
    assert mesh(campaign={"kpoints": (2, 3, 4)}) == ((2, 3, 4), "campaign")
    assert mesh(campaign={"kpoints": (2, 3, 4)}, overrides={"kspacing": 0.5}) == ((4, 4, 4), "step")
    assert mesh(campaign={"kspacing": 0.5}, overrides={"kpoints": (5, 5, 5)}) == ((5, 5, 5), "step")


def test_a_dos_mesh_that_the_protocol_refines_is_not_said_to_be_the_campaigns():
    found = resolve_settings(CELL, "dos", campaign={"kspacing": 0.85})
    assert found.kpoints == k_mesh(CELL, 0.18)
    assert found.origin["kpoints"] == "protocol balanced"


def test_origins_are_no_part_of_the_identity():
    by_protocol = resolve_settings(CELL, "static")
    by_campaign = resolve_settings(CELL, "static", campaign={"mixing": 0.3})
    assert by_protocol.origin != by_campaign.origin
    assert by_protocol == by_campaign
    assert by_protocol.to_dict() == by_campaign.to_dict()


@pytest.mark.parametrize(
    ("structure", "kpoints", "shift"),
    [
        (CELL, (4, 3, 2), (1, 0, 1)),
        (CELL, (1, 1, 1), (0, 0, 0)),
        (LEANING, (4, 4, 2), (0, 0, 0)),
    ],
)
def test_only_even_divisions_of_right_angled_cells_are_shifted(structure, kpoints, shift):
    campaign = {"kpoints": kpoints, "shift_mesh": True}
    assert resolve_settings(structure, "static", campaign=campaign).shift == shift
    campaign["shift_mesh"] = False
    assert resolve_settings(structure, "static", campaign=campaign).shift == (0, 0, 0)


def test_raw_settings_are_carried_along():
    raw = {"mixing_mode": "local-TF"}
    assert resolve_settings(CELL, "static", campaign={"raw": raw}).raw == raw
    assert resolve_settings(CELL, "static").raw == {}


def test_raw_settings_of_a_step_are_added_to_those_of_the_campaign():
    found = resolve_settings(
        CELL,
        "static",
        campaign={"raw": {"mixing_mode": "local-TF", "nosym": False}},
        overrides={"raw": {"nosym": True}},
    )
    assert found.raw == {"mixing_mode": "local-TF", "nosym": True}
    origin = {key: source for key, source in found.origin.items() if key.startswith("raw: ")}
    assert origin == {"raw: mixing_mode": "campaign", "raw: nosym": "step"}


def test_an_unknown_protocol_is_told_with_a_near_match():
    with pytest.raises(InputError, match=r"method: unknown protocol 'fastest'; did you mean 'fast'?"):
        resolve_settings(CELL, "static", protocol="fastest")
