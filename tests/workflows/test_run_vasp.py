"""VASP through the queue, with `fake_vasp.py` in the place of a program that needs a licence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from custodian.vasp.interpreter import VaspModder
from pymatgen.io.vasp.inputs import Poscar as PymatgenPoscar
from vasp_library import CAMPAIGN, write_library

from heterodft.analysis.energies import comparison_key
from heterodft.analysis.result import Result
from heterodft.errors import CalculationError, InputError, InterruptedCalculation, ProgramNotFoundError, SettingsError
from heterodft.workflows.calculation import write_request
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import campaign_chains
from heterodft.workflows.custodians.vasp import vasp_touches
from heterodft.workflows.custodians.vasp_inputs import (
    changes_kept,
    continued_poscar,
    incar_tags,
    read_poscar,
    restore_request,
)
from heterodft.workflows.custodians.vasp_process import stop_request
from heterodft.workflows.custodians.watch import attempts_in
from heterodft.workflows.processes import PROCESS_FILE, programs_in
from heterodft.workflows.progress import describe_running
from heterodft.workflows.queue.submission import submit
from heterodft.workflows.run_vasp import run_programs, vasp_command
from heterodft.workflows.runner import run_calculation
from heterodft.workflows.settings import Settings

pytestmark = pytest.mark.filterwarnings(
    "ignore::pymatgen.io.vasp.inputs.UnknownPotcarWarning",  # invented ones; real ones are licensed
    "ignore::pymatgen.io.vasp.outputs.UnconvergedVASPWarning",  # from custodian's own handlers
)

FAKE = f"{sys.executable} {Path(__file__).parents[1] / 'fake_vasp.py'}"
FE_1, FE_2 = 2, 7
"""Sites of the builder; in the POSCAR their blocks stand together."""


@pytest.fixture(autouse=True)
def library(tmp_path, monkeypatch):
    write_library(tmp_path, monkeypatch)


@pytest.fixture
def settings(tmp_path):
    return Settings("sqlite:///nowhere", "x", tmp_path / "runs", cores=1, vasp_command=FAKE, grace=2.0)


@pytest.fixture
def steps(tmp_path, settings):
    """The requests of the chain, written into their folders."""
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    [chain] = campaign_chains(load_campaign(tmp_path / "c.yaml"), pseudo_dir=None, notes=[])
    for request in chain:
        write_request(request, settings.runs / request.path)
    return {request.step: request for request in chain}


@pytest.fixture
def relax(steps, settings):
    return settings.runs / steps["relax"].path


def calculate(request, settings):
    return run_calculation(settings.runs / request.path, request.id, settings)


def starts(folder):
    return [json.loads(line) for line in (folder / "started.jsonl").read_text().splitlines()]


def corrections(folder):
    return [c for attempt in attempts_in(folder) for c in attempt["corrections"] if not c.get("skipped")]


def assert_request_kept(started):
    """What VASP was started with holds the moments, U and blocks that were asked for."""
    assert started["blocks"] == [["La", "O", "Fe", "Fe", "Sr"], [1, 6, 1, 1, 1]]
    assert started["incar"]["MAGMOM"] == "7*0 4 -4 0"
    assert (started["incar"]["LDAUL"], started["incar"]["LDAUU"]) == ("-1 -1 2 2 -1", "0 0 4 2 0")


def test_a_chain_runs_through_the_queue(heterodft, heterodft_inside, tmp_path, monkeypatch):
    monkeypatch.setenv("VASP_CMD", FAKE)
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    heterodft_inside("submit", "c.yaml")
    heterodft("run", "--quiet")
    folders = {
        step: tmp_path / "runs/v/sl/AFM-A/Fe-3d-2eV-LaFeO3.1-4eV" / step for step in ("relax", "static", "dos")
    }
    results = {step: Result.load(folder) for step, folder in folders.items()}
    started = {step: starts(folder)[0] for step, folder in folders.items()}
    assert {step: s["source"] for step, s in started.items()} == {
        "relax": "MAGMOM",
        "static": "CHGCAR",
        "dos": "CHGCAR",
    }
    assert [started[step]["incar"]["ICHARG"] for step in started] == ["2", "1", "11"]
    for one in started.values():
        assert_request_kept(one)
    relaxed = results["relax"].structure
    for step in ("static", "dos"):
        np.testing.assert_allclose(results[step].structure.frac_coords, relaxed.frac_coords, atol=1e-7)
        assert results[step].structure.site_properties["layer"] == relaxed.site_properties["layer"]
    assert [site.species_string for site in relaxed][FE_1] == "Fe"
    moments = results["static"].sites["sphere"].moments
    assert (moments[FE_1], moments[FE_2]) == (pytest.approx(3.6), pytest.approx(-3.6))
    assert results["static"].request["state"]["verdict"] == "kept"
    assert results["static"].energy == pytest.approx(-70.072, abs=1e-3)
    assert results["dos"].energy is None
    assert "3 finished already" in heterodft_inside("submit", "c.yaml").stdout


def test_a_finished_run_is_recorded_not_repeated(steps, settings, relax):
    energy = calculate(steps["relax"], settings).energy
    (relax / "result.json").unlink()
    assert calculate(steps["relax"], settings).energy == energy
    assert len(starts(relax)) == 1


def test_a_relaxation_stops_before_its_time_is_up_and_goes_on(steps, settings, relax):
    slow = replace(settings, vasp_command=f"{FAKE} --seconds 0.1", grace=0.2, deadline=time.time() + 2.5)
    with pytest.raises(InterruptedCalculation, match="stopped by STOPCAR"):
        calculate(steps["relax"], slow)
    assert time.time() < slow.deadline
    assert json.loads((relax / "failure.json").read_text())["interrupted"]
    reached = read_poscar((relax / "CONTCAR").read_text())
    calculate(steps["relax"], settings)
    first, second = starts(relax)
    assert_request_kept(second)
    np.testing.assert_allclose(second["positions"], reached.positions, atol=1e-9)
    assert np.abs(np.array(second["positions"]) - first["positions"]).max() > 1e-3
    assert (second["incar"]["ISTART"], second["incar"]["ICHARG"], second["source"]) == ("1", "1", "CHGCAR")


def test_what_cured_a_run_is_kept_when_it_goes_on(steps, settings, relax):
    slow = replace(
        settings, vasp_command=f"{FAKE} --fail edddav --seconds 0.1", grace=0.2, deadline=time.time() + 2.5
    )
    with pytest.raises(InterruptedCalculation):
        calculate(steps["relax"], slow)
    calculate(steps["relax"], replace(slow, deadline=None))
    assert [one["incar"]["ALGO"] for one in starts(relax)] == ["Normal", "All", "All"]
    assert len(corrections(relax)) == 1


def test_a_static_run_is_aborted_inside_its_cycle(steps, settings):
    calculate(steps["relax"], settings)
    slow = replace(settings, vasp_command=f"{FAKE} --seconds 0.3", grace=0.1, deadline=time.time() + 1.0)
    with pytest.raises(InterruptedCalculation):
        calculate(steps["static"], slow)
    folder = settings.runs / steps["static"].path
    assert "aborting loop because hard stop" in (folder / "OUTCAR").read_text()
    assert calculate(steps["static"], settings).converged


def test_time_is_left_for_another_ionic_step_or_not(tmp_path):
    (tmp_path / "OUTCAR").write_text(
        "      LOOP:  cpu time      1.0: real time      2.0\n     LOOP+:  cpu time     10.0: real time     10.0\n"
    )
    found = [stop_request(tmp_path, left, 3.0) for left in (60.0, 25.0, 11.0)]
    assert found == [None, "LSTOP = .TRUE.\n", "LABORT = .TRUE.\n"]
    assert stop_request(tmp_path / "nowhere", 7.0, 3.0) is None
    assert stop_request(tmp_path / "nowhere", 5.0, 3.0) == "LABORT = .TRUE.\n"


def test_after_a_kill_the_last_structure_is_gone_on_from(steps, settings, relax):
    def kill():
        while not (relax / "CONTCAR").is_file() or not (relax / "CONTCAR").read_text():
            time.sleep(0.02)
        time.sleep(0.3)
        os.kill(json.loads((relax / PROCESS_FILE).read_text())["pid"], signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    with pytest.raises(CalculationError, match="VASP ended early"):
        calculate(steps["relax"], replace(settings, vasp_command=f"{FAKE} --seconds 0.05"))
    reached = read_poscar((relax / "CONTCAR").read_text())
    calculate(steps["relax"], settings)
    first, second = starts(relax)
    assert_request_kept(second)
    np.testing.assert_allclose(second["positions"], reached.positions, atol=1e-9)
    assert np.abs(np.array(second["positions"]) - first["positions"]).max() > 1e-3
    assert len(attempts_in(relax)) == 2


def test_a_truncated_contcar_is_not_used(steps, settings, relax):
    with pytest.raises(CalculationError):
        calculate(steps["relax"], replace(settings, vasp_command=f"{FAKE} --fail always"))
    calculate(steps["relax"], settings)
    whole = (relax / "CONTCAR").read_text()
    (relax / "result.json").unlink()
    (relax / "OUTCAR").write_text("")
    (relax / "CONTCAR").write_text(whole[: len(whole) // 2])
    calculate(steps["relax"], settings)
    assert len(starts(relax)) == 3
    assert starts(relax)[2]["positions"] == starts(relax)[0]["positions"]


def test_a_worker_that_is_told_to_stop_lets_vasp_write_its_state(steps, settings, relax, monkeypatch):
    def stop(_number, _frame):
        raise SystemExit(0)

    monkeypatch.setattr(signal, "_ours", signal.signal(signal.SIGALRM, stop), raising=False)
    signal.setitimer(signal.ITIMER_REAL, 1.5)
    with pytest.raises(InterruptedCalculation, match="was stopped"):
        calculate(steps["relax"], replace(settings, vasp_command=f"{FAKE} --seconds 0.1"))
    assert "General timing" in (relax / "OUTCAR").read_text()
    assert (relax / "WAVECAR").is_file()
    assert not (relax / PROCESS_FILE).exists()


@pytest.mark.parametrize(("orphans", "started"), [("adopt", 1), ("end", 2)])
def test_a_vasp_that_outlived_its_worker_is_waited_for_or_ended(steps, settings, relax, orphans, started):
    slow = replace(settings, vasp_command=f"{FAKE} --seconds 0.1")
    worker = subprocess.Popen([sys.executable, "-c", WORKER, json.dumps(slow.to_dict()), steps["relax"].path])
    while not (relax / "CONTCAR").is_file():
        time.sleep(0.05)
    worker.kill()
    worker.wait()
    assert programs_in(relax)
    assert calculate(steps["relax"], replace(settings, orphans=orphans)).converged
    assert programs_in(relax) == []
    assert len(starts(relax)) == started


WORKER = """
import json, sys
from heterodft.workflows.runner import run_calculation
from heterodft.workflows.calculation import read_request
from heterodft.workflows.settings import Settings
settings = Settings.from_dict(json.loads(sys.argv[1]))
folder = settings.runs / sys.argv[2]
run_calculation(folder, read_request(folder).id, settings)
"""


@pytest.mark.parametrize(
    ("trouble", "cure", "touched"),
    [
        ("--fail edddav", {"ALGO": "All"}, set()),
        ("--fail brmix", {"IMIX": "1"}, set()),
        ("--fail bands --bands 55", {"NBANDS": "57"}, set()),
        ("--fail zbrent", {"EDIFF": "1e-06", "NELMIN": "8"}, set()),
        ("--fail rhosyg", {"SYMPREC": "0.0001"}, {"symmetry"}),
        ("--unconverged", {"ALGO": "All"}, set()),
    ],
)
def test_custodians_own_handlers_cure_and_the_request_is_kept(steps, settings, trouble, cure, touched):
    relax = settings.runs / steps["relax"].path
    result = calculate(steps["relax"], replace(settings, vasp_command=f"{FAKE} {trouble}"))
    assert result.converged
    last = starts(relax)[-1]
    assert_request_kept(last)
    assert last["incar"] | cure == last["incar"]
    history = corrections(relax)
    assert history
    found = set().union(*(vasp_touches(action) for c in history for action in c["actions"]))
    assert found == touched
    (told,) = result.corrections
    assert told["program"] == "VASP"
    assert told["errors"]
    assert set(told["touches"]) == touched
    assert (comparison_key(result) is None) == bool(touched)
    kept = changes_kept(relax)
    assert {key: used for key, (_, used) in kept.items()} | cure == {key: used for key, (_, used) in kept.items()}
    assert vasp_touches({"dict": "INCAR", "action": {"_set": kept}}) == touched


def test_a_run_that_a_handler_ends_leaves_no_bad_density(steps, settings, relax, monkeypatch):
    monkeypatch.setattr("heterodft.workflows.custodians.watch._MONITOR_SECONDS", 0.2)
    calculate(steps["relax"], replace(settings, vasp_command=f"{FAKE} --fail hermitian --seconds 0.05"))
    first, second = starts(relax)
    assert (first["incar"]["LREAL"], second["incar"]["LREAL"]) == ("Auto", "False")
    assert_request_kept(second)
    [correction] = corrections(relax)
    assert vasp_touches(correction["actions"][0]) == {"projectors"}
    assert second["source"] == "MAGMOM"


@pytest.mark.parametrize(("error", "source"), [("POTIM", "MAGMOM"), ("edddav", "CHGCAR")])
def test_a_density_that_diverged_is_no_start(steps, settings, relax, error, source):
    with pytest.raises(InterruptedCalculation):
        calculate(
            steps["relax"],
            replace(settings, vasp_command=f"{FAKE} --seconds 0.1", grace=1.0, deadline=time.time() + 4),
        )
    history = json.loads((relax / "custodian.json").read_text())
    history[-1] |= {"handler": True, "corrections": [{"errors": [error], "actions": None}]}
    (relax / "custodian.json").write_text(json.dumps(history))
    calculate(steps["relax"], settings)
    last = starts(relax)[-1]
    assert_request_kept(last)
    assert last["source"] == source


def test_a_cell_that_was_to_stay_is_looked_at(steps, settings):
    with pytest.raises(CalculationError, match=r"VASP 6.4.1 changed lattice vectors that were to stay"):
        calculate(steps["relax"], replace(settings, vasp_command=f"{FAKE} --strain"))


@pytest.mark.parametrize(
    ("limit", "reason"), [("max_scf_steps: 3", "SCF not converged"), ("max_ion_steps: 2", "not rel")]
)
def test_what_is_not_reached_within_the_limits_is_told(tmp_path, settings, limit, reason, monkeypatch):
    monkeypatch.setattr("heterodft.workflows.run_vasp._MOST_CORRECTIONS", 2)
    (tmp_path / "c.yaml").write_text(CAMPAIGN.replace("cell: fixed", f"cell: fixed, {limit}"))
    [[request, *_]] = campaign_chains(load_campaign(tmp_path / "c.yaml"), pseudo_dir=None, notes=[])
    write_request(request, settings.runs / request.path)
    with pytest.raises(CalculationError, match=reason):
        calculate(request, settings)


def test_what_no_handler_knows_is_told_in_vasps_words(steps, settings):
    with pytest.raises(CalculationError, match="VASP ended early: internal error in GENERATE_KPOINTS_NEVER_HEARD_OF"):
        calculate(steps["relax"], replace(settings, vasp_command=f"{FAKE} --fail always"))


def test_where_vasp_is_can_be_told(steps, settings, relax):
    assert describe_running(relax) == "starting"
    relax.mkdir(exist_ok=True)
    (relax / "OSZICAR").write_text("       N       E                     dE             d eps       ncg     rms\n")
    assert describe_running(relax) == "VASP"
    with (relax / "OSZICAR").open("a") as file:
        file.write("DAV:   1    -0.5E+03    0.2E-01   -0.5E-05 19488   0.1E-02\n")
        file.write("   1 F= -.526E+03 E0= -.526E+03  d E =-.4E-04  mag=     0.0\n")
        file.write("DAV:   1    -0.5E+03    0.2E-01   -0.5E-05 19488   0.1E-02\nRMM:   2    -0.5E+03    -.3E-03   -0")
    assert describe_running(relax) == "VASP, ionic step 2, SCF iteration 2 (accuracy 3e-04 eV)"


def test_moments_that_collapsed_are_recorded(steps, settings):
    result = calculate(steps["relax"], replace(settings, vasp_command=f"{FAKE} --collapse"))
    state = result.request["state"]
    assert (state["verdict"], state["sites"], state["order"]) == ("collapsed", [FE_1, FE_2], "NM")
    assert [(row[0], row[2]) for row in state["moments"]] == [(FE_1, 4.0), (FE_2, -4.0)]


def choosing(request, settings, **unreached):
    chosen = replace(request, about=request.about | {"unreached": unreached})
    assert chosen.id == request.id
    write_request(chosen, settings.runs / chosen.path)
    return chosen


def test_a_collapsed_state_is_started_again_with_larger_moments(steps, settings, relax):
    settings = replace(settings, vasp_command=f"{FAKE} --needs 5")
    result = calculate(choosing(steps["relax"], settings, choice="reseed", reseeds=2), settings)
    assert [one["incar"]["MAGMOM"] for one in starts(relax)] == ["7*0 4 -4 0", "7*0 6 -6 0"]
    assert [one["source"] for one in starts(relax)] == ["MAGMOM", "MAGMOM"]
    assert (result.request["state"]["verdict"], result.request["state"]["seeds"]) == ("kept", 1)
    [correction] = result.corrections
    assert correction["changes"] == {"INCAR->MAGMOM": ["7*0 4 -4 0", "7*0 6 -6 0"]}
    assert correction["errors"] == ["not in the state asked for: collapsed; again with larger moments"]
    assert correction["touches"] == []


def test_a_state_that_was_not_asked_for_is_marked_in_status(heterodft, heterodft_inside, tmp_path, monkeypatch):
    monkeypatch.setenv("VASP_CMD", f"{FAKE} --collapse")
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    heterodft_inside("submit", "c.yaml")
    assert (
        "1 configuration ended in another state than asked for; see: heterodft status"
        in heterodft("run", "--quiet").stdout
    )
    shown = heterodft_inside("status").stdout
    assert shown.count("not in the state asked for (AFM-A): collapsed to NM") == 3
    assert "3 calculations: 3 done (3 in another state than asked for)" in shown
    told = json.loads(heterodft_inside("status", "--json").stdout)["calculations"]
    assert all(one["state_reached"].startswith("not in the state asked for") for one in told)
    page = heterodft_inside("report", "c.yaml", "-o", str(tmp_path / "report")).stdout
    assert "the state reached is not the AFM-A order asked for: the moments asked for vanished" in page


def test_after_the_stated_number_of_starts_the_last_one_is_flagged(steps, settings, relax):
    settings = replace(settings, vasp_command=f"{FAKE} --collapse")
    result = calculate(choosing(steps["relax"], settings, choice="reseed", reseeds=2), settings)
    assert len(starts(relax)) == 3
    assert (result.request["state"]["verdict"], result.request["state"]["seeds"]) == ("collapsed", 2)


def test_nothing_starts_from_another_state_where_it_is_to_stop(steps, settings, relax):
    collapsing = replace(settings, vasp_command=f"{FAKE} --collapse")
    with pytest.raises(CalculationError, match=r"not in the state asked for \(AFM-A\): collapsed to NM; with"):
        calculate(choosing(steps["relax"], settings, choice="stop"), collapsing)
    with pytest.raises(CalculationError, match=r"the step before, .*relax, failed; heterodft retry"):
        calculate(steps["static"], settings)


def test_the_static_step_of_a_relaxation_in_another_state_says_so(steps, settings, relax):
    calculate(steps["relax"], replace(settings, vasp_command=f"{FAKE} --collapse"))
    static = calculate(choosing(steps["static"], settings, choice="reseed", reseeds=1), settings)
    assert (static.request["state"]["verdict"], static.request["state"]["seeds"]) == ("kept", 1)
    assert starts(settings.runs / steps["static"].path)[-1]["source"] == "MAGMOM"
    assert static.request["state"]["notes"] == ["the structure was relaxed in another state (collapsed)"]


def test_a_density_of_states_carries_the_state_of_its_static_step(steps, settings):
    for step in ("relax", "static"):
        calculate(steps[step], replace(settings, vasp_command=f"{FAKE} --collapse"))
    state = calculate(steps["dos"], settings).request["state"]
    assert (state["verdict"], state["before"]["step"], state["before"]["same"]) == ("collapsed", "static", True)


def test_a_density_of_states_of_another_density_is_told(steps, settings):
    for step in ("relax", "static"):
        calculate(steps[step], settings)
    density = settings.runs / steps["static"].path / "CHGCAR"
    moments = json.loads(density.read_text())["moments"]
    density.write_text(json.dumps({"moments": [abs(m) for m in moments]}))
    state = calculate(steps["dos"], settings).request["state"]
    assert state["verdict"] == "other"
    assert state["words"] == f"other: its moments are not those of its static step: Fe{FE_2 + 1}"


def test_what_a_correction_did_to_the_request_is_undone(steps, settings, relax):
    calculate(steps["relax"], settings)
    asked = (relax / "POSCAR.orig").read_text()
    structure = PymatgenPoscar.from_str(asked).structure
    structure.translate_sites([3], [0, 0, 0.01])
    bad = {"LDAUU": [4, 4, 4, 4, 4], "MAGMOM": [1.0] * 10, "ICHARG": 2, "ALGO": "All", "ISYM": 0}
    actions = [
        {"dict": "INCAR", "action": {"_set": bad}},
        {"dict": "POSCAR", "action": {"_set": {"structure": structure.as_dict()}}},
    ]
    VaspModder(directory=str(relax)).apply_actions(actions)
    assert (relax / "POSCAR").read_text().splitlines()[5].split() == ["La", "O", "Fe", "Sr"]  # blocks joined
    assert restore_request(relax) == ["MAGMOM", "LDAUU"]
    tags = incar_tags((relax / "INCAR").read_text())
    assert (tags["MAGMOM"], tags["LDAUU"], tags["ICHARG"]) == ("7*0 4 -4 0", "0 0 4 2 0", "1")
    assert (tags["ALGO"], tags["ISYM"]) == ("All", "0")
    found, ours = read_poscar((relax / "POSCAR").read_text()), read_poscar(asked)
    assert (found.elements, found.counts, found.labels) == (ours.elements, ours.counts, ours.labels)
    np.testing.assert_allclose(found.positions[3] - ours.positions[3], [0, 0, 0.01], atol=1e-9)
    structure.apply_strain(0.05)
    VaspModder(directory=str(relax)).apply_actions(
        [{"dict": "POSCAR", "action": {"_set": {"structure": structure.as_dict()}}}]
    )
    assert restore_request(relax) == ["cell"]
    assert (relax / "POSCAR").read_text() == asked
    assert restore_request(relax) == []


def test_a_density_that_is_kept_stays_kept(steps, settings):
    for step in ("relax", "static", "dos"):
        calculate(steps[step], settings)
    folder = settings.runs / steps["dos"].path
    VaspModder(directory=str(folder)).apply_actions([{"dict": "INCAR", "action": {"_set": {"ICHARG": 2}}}])
    restore_request(folder)
    assert incar_tags((folder / "INCAR").read_text())["ICHARG"] == "11"


def test_a_contcar_is_read_as_vasp_writes_it():
    asked = "t\n1.0\n4 0 0\n0 4 0\n0 0 4\nFe Fe\n1 1\nDirect\n0.0 0 -0.01 Fe A:1\n0.5 0.5 0.99 Fe B:1\n"
    written = (
        "t\n 2.0\n2 0 0\n0 2 0\n0 0 2.1\nFe_pv/0a Fe_pv/0a\n1 1\nDirect\n0 0 0.98\n0.5 0.5 0.01\n\n 0 0 0\n 0 0 0\n"
    )
    found = read_poscar(continued_poscar(asked, written))
    np.testing.assert_allclose(found.positions[:, 2], [-0.02, 1.01])
    np.testing.assert_allclose(found.lattice, np.diag([4, 4, 4.2]))
    assert found.labels == ("Fe A:1", "Fe B:1")
    cartesian = written.replace("Direct", "Cartesian").replace("0.98", "2.058")
    np.testing.assert_allclose(read_poscar(cartesian).positions[0, 2], 0.98)
    for broken in ("", written[:60], written.replace("0.98", "NaN"), written.replace("0.98", "0.9*"),
                   written.replace("1 1\n", "2 1\n"), written.replace("Fe_pv/0a Fe", "Co Fe")):  # fmt: skip
        assert continued_poscar(asked, broken) is None


def test_without_potcars_the_remedy_is_told(steps, settings, relax, monkeypatch):
    monkeypatch.delenv("PMG_VASP_PSP_DIR")
    with pytest.raises(InputError, match=r"needs POTCARs to run \(La O Fe_pv Fe_pv Sr_sv\): set PMG_VASP_PSP_DIR"):
        run_programs(steps["relax"], relax, settings)


def test_the_build_of_vasp_fits_the_calculation(steps, settings):
    relax = steps["relax"]
    both = replace(settings, vasp_command="env -n {cores} std", vasp_gamma_command="env gam", cores=3)
    assert vasp_command(relax, both) == ["env", "-n", "3", "std"]
    gamma = replace(relax, settings=replace(relax.settings, kpoints=(1, 1, 1), shift=(0, 0, 0)))
    assert vasp_command(gamma, both) == ["env", "gam"]
    assert vasp_command(gamma, replace(both, vasp_gamma_command=None)) == ["env", "-n", "3", "std"]
    shifted = replace(gamma, settings=replace(gamma.settings, shift=(1, 0, 0)))
    assert vasp_command(shifted, both)[-1] == "std"
    with pytest.raises(SettingsError, match=r"vasp: ncl_command is not set; .* or set VASP_NCL_CMD"):
        vasp_command(replace(relax, spin_orbit=True), both)
    with pytest.raises(SettingsError, match=r"vasp: command: .*balance its quotes"):
        vasp_command(relax, replace(both, vasp_command="mpirun 'x"))
    with pytest.raises(ProgramNotFoundError, match=r"nothing-here \(of vasp: command: .* is not installed"):
        vasp_command(relax, replace(both, vasp_command="nothing-here vasp_std"))


def test_a_missing_command_is_told_before_anything_runs(heterodft_inside, tmp_path):
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    heterodft_inside("submit", "c.yaml")
    assert "vasp: command is not set" in heterodft_inside("run", code=1).stderr


def test_noncollinear_runs_are_queued(steps, settings, tmp_path):
    chain = [replace(steps["relax"], spin_orbit=True)]
    here = replace(settings, host=f"sqlite://{tmp_path}/queue.sqlite")
    assert submit([chain], here).queued == [chain[0].path]


def test_what_corrections_touch_is_told():
    def touched(file, **tags):
        return vasp_touches({"dict": file, "action": {"_set": tags}})

    assert touched("INCAR", ISMEAR=0, SIGMA=0.05, ALGO="All") == {"smearing"}
    assert touched("INCAR", PREC="Accurate", LREAL=False, SYMPREC=1e-6) == {"cutoff", "projectors", "symmetry"}
    assert touched("INCAR", NBANDS=20, POTIM=0.1, IMIX=1) == set()
    assert touched("KPOINTS", generation_style="Gamma") == {"k-points"}
    assert touched("POSCAR", structure={}) == {"cell"}
    assert vasp_touches({"file": "CONTCAR", "action": {"_file_copy": {"dest": "POSCAR"}}}) == set()
