"""What VASP would read at every point of a driver, INCAR and KPOINTS as written; of shifts see test_shifts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drive_here import drive_made_up
from pymatgen.io.vasp import Incar, Kpoints

from heterodft.analysis.result import Result, SiteValues
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.drivers import build_driver
from heterodft.workflows.inputs import prepare_inputs
from heterodft.workflows.settings import Settings

TEXT = """\
name: v
code: vasp
materials:
  CrN: {prototype: rocksalt, a: 4.15}
  MgO: {prototype: rocksalt, a: 4.21}
structures:
  sl: {stack: [{material: CrN, layers: 2}, {material: MgO, layers: 2}], in_plane: MgO}
magnetism: {orders: [FM], moments: {Cr: 3.0}}
hubbard: {Cr-3d: 2.0}
method: {protocol: fast, cutoff: 400 eV, kspacing: 0.8, smearing: gaussian, cell: fixed}
steps: [relax, static]
"""
SLAB = TEXT.replace("in_plane: MgO}", "in_plane: MgO, vacuum: 12}")


@pytest.fixture
def decks(tmp_path, monkeypatch):
    """A function: the inputs of every calculation that a question takes, by variant and step."""
    monkeypatch.delenv("PMG_VASP_PSP_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    def write(section, text=TEXT):
        (tmp_path / "c.yaml").write_text(f"{text}converge:\n  {section}\n")
        campaign = load_campaign(tmp_path / "c.yaml")
        driver = build_driver(campaign, campaign.converge.asked[0])
        _, decisions = drive_made_up(driver, _made)
        requests = {r.id: r for decision in decisions for chain in decision.chains for r in chain}
        return {
            (r.about["variant"], r.step): prepare_inputs(r, Settings("", "", Path("runs"), 1)).files
            for r in requests.values()
        }

    return write


def _made(request):
    """Return a result of another energy at each point, so that nothing converges and every point is computed."""
    moments = tuple(map(float, request.moments or [0.0] * len(request.structure["species"])))
    energy = -100.0 * len(moments) + 0.1 * (int(request.id, 16) % 97)
    return Result(
        code="vasp", version="6.4.2", step=request.step, structure=request.to_structure(), electrons=10.0,
        energy=energy, fermi_levels=(1.0,), total_moment=sum(moments), absolute_moment=None,
        sites={"sphere": SiteValues("sphere", (5.0,) * len(moments), moments)}, converged=True, iterations=10,
        accuracy=1e-9, cpu_seconds=1.0, wall_seconds=1.0,
    )  # fmt: skip


def incar(files):
    return Incar.from_str(files["INCAR"])


def by_step(found, step):
    return {variant: incar(files) for (variant, name), files in found.items() if name == step}


def test_cutoffs_start_from_the_atoms_each(decks):
    found = decks("cutoff: {values: [350 eV, 400 eV, 450 eV]}")
    relaxed = by_step(found, "relax")
    assert [one["ENCUT"] for one in relaxed.values()] == [350, 400, 450]
    assert {(one["ISTART"], one["ICHARG"]) for one in relaxed.values()} == {(0, 2)}, "no density of another grid"
    assert [one["ENCUT"] for one in by_step(found, "static").values()] == [350, 400, 450]


def test_meshes_are_in_kpoints_alone_and_start_from_the_density(decks):
    found = decks("kspacing: {values: [0.9, 0.6, 0.35], start_from: previous}")
    meshes = [Kpoints.from_str(files["KPOINTS"]).kpts[0] for (_, step), files in found.items() if step == "static"]
    assert len({tuple(mesh) for mesh in meshes}) == 3
    assert all("KSPACING" not in incar(files) for files in found.values())
    relaxed = list(by_step(found, "relax").values())
    assert [one["ICHARG"] for one in relaxed] == [2, 1, 1]
    assert {one["ISTART"] for one in relaxed} == {0}, "wavefunctions belong to their mesh"


def test_widths_are_sigma_of_the_smearing_that_was_asked_for(decks):
    found = decks("smearing: {values: [0.2 eV, 0.1 eV, 0.05 eV], start_from: previous}")
    static = list(by_step(found, "static").values())
    assert [one["SIGMA"] for one in static] == pytest.approx([0.2, 0.1, 0.05])
    assert {one["ISMEAR"] for one in static} == {0}
    assert len({files["KPOINTS"] for files in found.values()}) == 1


def test_layers_have_their_moments_and_u_by_site(decks):
    found = decks("layers: {material: CrN, values: [2, 4], quantities: {moment: 0.01}}")
    for layers, one in zip((2, 4), by_step(found, "static").values(), strict=True):
        assert sum(np.abs(one["MAGMOM"]) > 1) == layers
        assert len(one["MAGMOM"]) == 2 * layers + 4
        assert sorted(one["LDAUU"]) == [0, 0, 0, 2]
        assert one["LMAXMIX"] == 4


def test_the_dipole_of_a_slab_is_corrected_at_every_vacuum(decks):
    found = decks("vacuum: {values: [10, 14, 18], quantities: {energy: 1 meV/atom}}", SLAB)
    static = by_step(found, "static")
    assert len(static) == 3
    for files, one in zip((f for (_, step), f in found.items() if step == "static"), static.values(), strict=True):
        assert (one["LDIPOL"], one["IDIPOL"]) == (True, 3)
        heights = [float(line.split()[2]) for line in files["POSCAR"].splitlines()[8:]]
        assert float(one["DIPOL"][2]) == pytest.approx((max(heights) + min(heights)) / 2, abs=1e-4)
        assert Kpoints.from_str(files["KPOINTS"]).kpts[0][2] == 1, "no dispersion across a vacuum"
    assert {one["ISIF"] for one in by_step(found, "relax").values()} == {2}


def test_a_slab_with_a_mirror_has_no_dipole_to_correct(decks):
    stack = "[{material: CrN, layers: 3}]"
    text = SLAB.replace("[{material: CrN, layers: 2}, {material: MgO, layers: 2}]", stack)
    found = decks("vacuum: {values: [10, 14], quantities: {energy: 1 meV/atom}}", text)
    assert not any("LDIPOL" in incar(files) for files in found.values())


def test_ramps_of_u_hand_on_the_density_with_its_occupations(decks):
    found = decks("hubbard: {Cr-3d: [0, 2, 4], branches: [up, down], structures: [sl], orders: [FM]}")
    relaxed, static = by_step(found, "relax"), by_step(found, "static")
    ramped = [one for variant, one in relaxed.items() if variant in ("up", "down")]
    cold = [one for variant, one in relaxed.items() if variant not in ("up", "down")]
    assert ramped
    assert cold
    assert {one["ICHARG"] for one in ramped} == {1}
    assert {one["ICHARG"] for one in cold} == {2}
    for one in (*relaxed.values(), *static.values()):
        assert one["LMAXMIX"] == 4, "the density handed on holds the occupations of d orbitals, at U = 0 as well"
        assert one["MAGMOM"][:2] != [0, 0]
        assert (one.get("LDAUTYPE", 2), one.get("LDAUPRINT", 1)) == (2, 1)
    assert {(one["ISTART"], one["ICHARG"]) for one in static.values()} == {(1, 1)}, "of its own relaxation"


def test_starts_have_their_moments_and_structures(decks):
    found = decks("starts: {moments: [0.5, 2], patience: 9}")
    largest = [max(one["MAGMOM"]) for one in by_step(found, "static").values()]
    assert largest == [3, 1.5, 6]
