from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drive_here import drive_here

from heterodft.analysis.result import Bands, Result
from heterodft.errors import CampaignError, InputError
from heterodft.templates.espresso import program_of, write_espresso
from heterodft.templates.espresso_edit import read_value
from heterodft.templates.pseudopotentials import Pseudopotential
from heterodft.workflows.calculation import read_request, write_request
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import campaign_chains
from heterodft.workflows.cost import estimate_cost
from heterodft.workflows.custodians.corrections import read_corrections
from heterodft.workflows.custodians.diagnosis import diagnose
from heterodft.workflows.custodians.espresso_response import ResponseHandler
from heterodft.workflows.drivers import build_driver, strategy_of
from heterodft.workflows.drivers.driver import Finished
from heterodft.workflows.handover import filled_moment, hand_over
from heterodft.workflows.progress import describe_running
from heterodft.workflows.runner import run_calculation
from heterodft.workflows.settings import Settings

TINY = """\
name: tiny
code: espresso
materials:
  SrTiO3: {prototype: perovskite, a: 3.905}
structures:
  bulk: {stack: [{material: SrTiO3, layers: 1}]}
magnetism: {orders: [NM]}
hubbard: {Ti-3d: 4.0}
method: {protocol: fast, cutoff: 20 Ry, kspacing: 1.7}
steps: [static, {response: {qpoints: [1, 1, 2]}}]
converge:
  linear_response: {elements: [Ti], qmeshes: [[1, 1, 1], [1, 1, 2]], tolerance: 2 eV}
"""
VALENCES = {"Sr": 10.0, "Ti": 12.0, "O": 6.0}
PSEUDOS = {e: Pseudopotential(e, Path(f"/pseudos/{e}.upf"), "0" * 64, v, 4) for e, v in VALENCES.items()}


@pytest.fixture
def chain(tmp_path):
    def load(old="", new="", number=0):
        path = tmp_path / "tiny.yaml"
        path.write_text(TINY.replace(old, new))
        return campaign_chains(load_campaign(path))[number]

    return load


@pytest.fixture
def setup(chain):
    return chain()[-1].to_setup()


def test_sites_with_u_come_first_and_the_file_says_which_is_which(setup):
    deck = write_espresso(setup, PSEUDOS)
    assert list(deck.files) == ["pw.in", "hp.in", "site_order.json"]
    rows = deck.files["pw.in"].partition("ATOMIC_POSITIONS crystal\n")[2].splitlines()[:5]
    assert rows[0].split()[0] == "Ti"
    order = json.loads(deck.files["site_order.json"])["order"]
    assert [row.split()[0] for row in rows] == [setup.elements[i] for i in order]
    written = np.array([[float(x) for x in row.split()[1:]] for row in rows])
    assert np.allclose(written, setup.structure.frac_coords[order])


def test_the_input_of_hp_holds_the_mesh_and_the_tolerance(setup):
    text = write_espresso(setup, PSEUDOS).files["hp.in"]
    assert program_of("hp.in") == "hp.x"
    for line in ("nq1              = 1", "nq3              = 2", "conv_thr_chi     = 1e-05", "find_atpert      = 1"):
        assert line in text


def test_its_cycle_goes_on_from_the_density_with_its_own_tolerance(setup):
    text = write_espresso(setup, PSEUDOS).files["pw.in"]
    for line in ("calculation      = 'scf'", "startingpot      = 'file'", "conv_thr         = 5e-11"):
        assert line in text


def test_with_a_gap_occupations_are_fixed(setup):
    text = write_espresso(replace(setup, filled_moment=0.0), PSEUDOS).files["pw.in"]
    assert "occupations      = 'fixed'" in text
    assert "degauss" not in text
    assert "tot_magnetization" not in text
    moments = [1.0 if element == "Ti" else 0.0 for element in setup.elements]
    text = write_espresso(replace(setup, filled_moment=1.0, moments=moments), PSEUDOS).files["pw.in"]
    assert "tot_magnetization = 1.0" in text
    with pytest.raises(InputError, match="no negative total moment"):
        write_espresso(replace(setup, filled_moment=-1.0, moments=moments), PSEUDOS)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"hubbard": ()}, "give the shell a U"),
        ({"spin_orbit": True}, "collinear order"),
        ({"settings": {"smearing": "tetrahedra"}}, "takes no tetrahedra"),
        ({"settings": {"dipole": True}}, "no dipole correction"),
    ],
)
def test_what_hp_cannot_do_is_refused_before_anything_runs(setup, changed, message):
    if "settings" in changed:
        changed = {"settings": replace(setup.settings, **changed["settings"])}
    full = {e: replace(p, relativistic="full") for e, p in PSEUDOS.items()}
    with pytest.raises(InputError, match=message):
        write_espresso(replace(setup, **changed), full, version=(7, 3))


def test_other_than_norm_conserving_pseudopotentials_are_refused(setup):
    settings = replace(setup.settings, density_cutoff=12 * setup.settings.cutoff)
    soft = PSEUDOS | {"O": replace(PSEUDOS["O"], kind="PAW")}
    with pytest.raises(InputError, match="norm-conserving pseudopotentials only"):
        write_espresso(replace(setup, settings=settings), soft)


def test_the_q_mesh_is_part_of_the_identity_of_this_step_alone(chain):
    static, response = chain()
    other_static, other = chain("[1, 1, 2]}}", "[2, 2, 2]}}")
    assert static.id == other_static.id
    assert response.id != other.id
    assert "qpoints" not in static.to_text()


def test_a_request_survives_being_written(chain, tmp_path):
    response = chain()[-1]
    write_request(response, tmp_path)
    assert read_request(tmp_path) == response


def test_a_response_needs_a_static_step(chain):
    with pytest.raises(CampaignError, match=r"write \[static, response\]"):
        chain("[static, {response", "[{response")


@pytest.fixture
def parent(chain, tmp_path):
    """A finished static step whose bands are given."""

    def make(gap, moment=None):
        static, response = chain()
        folder, own = tmp_path / "static", tmp_path / "response"
        (folder / "pwscf.save").mkdir(parents=True)
        own.mkdir()
        energies = np.array([[[-1.0] * 20 + [gap] * 4]])
        occupations = np.array([[[1.0] * 20 + [0.0] * 4]])
        bands = Bands(energies, occupations, np.zeros((1, 3)), np.ones(1))
        result = Result(
            **dict.fromkeys(("energy", "absolute_moment", "iterations", "accuracy", "cpu_seconds", "wall_seconds")),
            code="espresso",
            version="6.7",
            step="static",
            structure=static.to_structure(),
            electrons=40.0,
            fermi_levels=(0.0,),
            total_moment=moment,
            sites={},
            converged=True,
            bands=bands,
            request={"id": static.id},
        )
        result.save(folder)
        return response, own

    return make


def test_a_gap_fills_bands_one_by_one_and_none_leaves_them_smeared(parent):
    response, folder = parent(2.0)
    assert filled_moment(response, folder) == 0.0


def test_a_gap_below_the_smearing_is_left_to_it(parent):
    response, folder = parent(-0.95)
    assert filled_moment(response, folder) is None


def test_a_moment_that_is_no_whole_number_is_left_to_smearing(parent):
    response, folder = parent(2.0, moment=0.4)
    assert filled_moment(response, folder) is None


def test_occupations_are_handed_on_in_the_order_of_the_sites(parent):
    response, folder = parent(2.0)
    save = folder.parent / "static" / "pwscf.save"
    (save / "charge-density.dat").write_text("density")
    (save / "occup.txt").write_text("\n".join(f"{site}.1 {site}.2" for site in range(5)))
    hand_over(response, folder)
    titanium = response.structure["species"].index("Ti")
    words = (folder / "pwscf.save" / "occup.txt").read_text().split()
    assert words[:2] == [f"{titanium}.1", f"{titanium}.2"]
    assert len(words) == 10


def test_a_stop_of_hp_is_told_in_words(tmp_path):
    (tmp_path / "hp.in").write_text("&INPUTHP\n/\n")
    (tmp_path / "hp.out").write_text(" WARNING: The Fermi energy shift is too big!\n JOB DONE.\n")
    assert "takes fixed occupations only" in (diagnose(tmp_path, "hp.in") or "")
    (tmp_path / "hp.out").write_text(" Post-processing calculation of Hubbard parameters ...\n JOB DONE.\n")
    assert "without Hubbard parameters" in (diagnose(tmp_path, "hp.in") or "")
    (tmp_path / "pwscf.Hubbard_parameters.dat").write_text("U")
    assert diagnose(tmp_path, "hp.in") is None


NOT_REACHED = """\
      atom #  1   q point #   1   iter #   4
      chi:   1      0.0312345678

      Convergence has not been reached after   4 iterations!

      Stopping...

   JOB DONE.
"""


@pytest.mark.parametrize(
    ("steps", "mixing", "action"),
    [
        (4, 0.7, {"inputhp->niter_max": 100}),
        (100, 0.3, {"inputhp->alpha_mix(1)": 0.15}),
        (100, 0.15, {"inputhp->alpha_mix(1)": 0.075}),
        (100, 0.075, None),
    ],
)
def test_a_response_that_does_not_converge_is_mixed_more_slowly(tmp_path, steps, mixing, action):
    text = f"&INPUTHP\n   niter_max        = {steps}\n   alpha_mix(1)     = {mixing}\n/\n"
    (tmp_path / "hp.in").write_text(text)
    (tmp_path / "hp.out").write_text(NOT_REACHED)
    os.utime(tmp_path / "hp.in", (0, 0))
    handler = ResponseHandler("hp.in")
    assert handler.check(str(tmp_path))
    found = handler.correct(str(tmp_path))
    assert found["errors"] == ["the response did not converge"]
    assert found["actions"] == (None if action is None else [{"dict": "hp.in", "action": {"_set": action}}])
    for name, value in (action or {}).items():
        assert read_value((tmp_path / "hp.in").read_text(), name) == str(value)
    assert handler.check(str(tmp_path)) == (action is None), "one correction a run"


def test_a_response_that_ended_well_is_left_alone(tmp_path):
    (tmp_path / "hp.in").write_text("&INPUTHP\n/\n")
    (tmp_path / "hp.out").write_text(" Post-processing calculation of Hubbard parameters ...\n JOB DONE.\n")
    os.utime(tmp_path / "hp.in", (0, 0))
    assert not ResponseHandler("hp.in").check(str(tmp_path))


def test_denser_q_meshes_cost_more(chain, tmp_path):
    settings = Settings(host="sqlite:///x", database="x", runs=tmp_path, cores=1)
    coarse = estimate_cost(chain()[-1], settings).core_hours
    dense = estimate_cost(chain("[1, 1, 2]}}", "[4, 4, 4]}}")[-1], settings).core_hours
    assert dense > 5 * coarse > 0


@pytest.fixture
def settings(tmp_path, pw):
    return Settings(host="sqlite:///x", database="x", runs=tmp_path / "runs", cores=1)


@pytest.mark.espresso
@pytest.mark.slow
def test_a_real_driver_finds_u_of_titanium(tmp_path, settings):
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    driver = build_driver(load_campaign(path), "linear_response")
    decisions = drive_here(driver, settings)
    assert [len(decision.chains) for decision in decisions] == [1, 1, 0]
    finished = Finished(settings.runs)
    summary = strategy_of(driver).summarize(driver, finished)
    assert summary.data["converged"] is True
    assert 1.0 < summary.data["recommended"]["bulk NM"]["Ti-3d"] < 6.0
    static, response = driver.points[0].chains[0]
    found = finished.result(response)
    titanium = response.structure["species"].index("Ti")
    assert found.response.sites == (titanium,)
    assert found.response.started_from == (4.0,)
    u = 1 / found.response.chi0[0, 0] - 1 / found.response.chi[0, 0]
    assert found.response.values[0] == pytest.approx(u, abs=2e-3)
    assert found.energy == pytest.approx(finished.result(static).energy, abs=1e-4)
    folder = settings.runs / response.path
    assert "occupations      = 'fixed'" in (folder / "pw.in").read_text()
    assert not list(folder.glob("HP/*wfc*"))
    assert run_calculation(folder, response.id, settings).response.values == found.response.values


@pytest.mark.espresso
@pytest.mark.slow
def test_a_real_response_with_too_few_iterations_is_given_more(chain, settings):
    # From the density of the static step pw.x needs fewer than the five iterations of hp.x.
    static, response = chain("[1, 1, 2]}}", "[1, 1, 1], max_scf_steps: 4}}")
    for request in (static, response):
        folder = settings.runs / request.path
        write_request(request, folder)
        result = run_calculation(folder, request.id, settings)
    assert 1.0 < result.response.values[0] < 6.0
    assert "Convergence has not been reached after" in (folder / "hp.out.1").read_text()
    assert [c.changes["inputhp->niter_max"] for c in read_corrections(folder)] == [(4, 100)]


def test_where_hp_x_is_can_be_told_while_it_runs(tmp_path):
    (tmp_path / "pw.out").write_text("")
    (tmp_path / "hp.out").write_text("     Program HP v.6.7 starts\n")
    assert describe_running(tmp_path) == "hp.x"
    (tmp_path / "hp.out").write_text(
        "     The grid of q-points ( 2, 2, 2)  (  4 q-points ) :\n"
        "      atom #  1   q point #   1   iter #   1\n"
        "      atom #  1   q point #   2   iter #  12\n"
    )
    assert describe_running(tmp_path) == "hp.x, site 1, q-point 2 of 4, iteration 12"
