"""The state contract on real runs of pw.x: CrN whose ferromagnetic run is handed an antiferromagnetic density."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from heterodft.analysis.energies import ConfigurationEnergies
from heterodft.analysis.result import Result
from heterodft.errors import CalculationError, InterruptedCalculation
from heterodft.workflows.calculation import write_request
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import campaign_chains
from heterodft.workflows.custodians import espresso, espresso_state
from heterodft.workflows.custodians.last_structure import outputs_of
from heterodft.workflows.drivers.variants import as_variant, start_from
from heterodft.workflows.runner import run_calculation
from heterodft.workflows.settings_file import load_settings
from heterodft.workflows.state import asked_state
from heterodft.workflows.state.contract import state_record
from heterodft.workflows.state.seeds import seeds_taken

CAMPAIGN = """\
name: crn
materials:
  CrN: {prototype: rocksalt, a: 4.15}
structures:
  bulk: {stack: [{material: CrN, layers: 2}], normal: [0, 0, 1]}
magnetism: {orders: [FM, AFM-A], moments: {Cr: 3.0}}
hubbard: {Cr-3d: 3.0}
method: {protocol: fast, cutoff: 30 Ry, kspacing: 1.2, smearing: gaussian}
steps: [static, {dos: {kspacing: 1.0}}, {bands: {path_spacing: 2.0}}, potential]
"""

pytestmark = [pytest.mark.espresso, pytest.mark.slow]


@pytest.fixture(scope="module")
def site(pw, tmp_path_factory):
    """Settings, and the chains of both orders; that of AFM-A is computed."""
    folder = tmp_path_factory.mktemp("crn")
    (folder / "c.yaml").write_text(CAMPAIGN)
    settings = replace(load_settings(), runs=folder / "runs", cores=1, keep_files="all")
    chains = {chain[0].about["order"]: chain for chain in campaign_chains(load_campaign(folder / "c.yaml"))}
    run(chains["AFM-A"], settings)
    return settings, chains


def run(chain, settings):
    for request in chain:
        write_request(request, settings.runs / request.path)
    return {r.step: run_calculation(settings.runs / r.path, r.id, settings) for r in chain}


def wrong_start(site, name, **unreached):
    """Return a ferromagnetic chain that starts from the antiferromagnetic density, with what to do about it."""
    _, chains = site
    chain = start_from(as_variant(chains["FM"], "crn.wrong", name), chains["AFM-A"][0])
    return tuple(replace(r, about=r.about | ({"unreached": unreached} if unreached else {})) for r in chain)


def state_of(result):
    return result.request["state"]


def test_steps_that_keep_a_density_keep_exactly_its_state(site):
    settings, chains = site
    for request in chains["AFM-A"][1:]:
        state = state_of(Result.load(settings.runs / request.path))
        assert (state["verdict"], state["order"], state["before"]["same"]) == ("kept", "AFM-A", True), request.step
        assert {"density", "Hubbard occupations"} <= set(state["before"]["checked"])
    assert "moments" in state_of(Result.load(settings.runs / chains["AFM-A"][1].path))["before"]["checked"]


def test_a_wrong_start_is_caught_and_all_that_follows_says_so(site):
    results = run(wrong_start(site, "flag"), site[0])
    for step, result in results.items():
        state = state_of(result)
        assert (state["verdict"], state["words"], state["order"]) == ("flipped", "flipped at Cr3", "AFM-A"), step
    total = state_of(results["static"])["total_moment"]
    assert (total["asked"], total["compensated"]) == (6.0, False)
    assert total["reached"] == pytest.approx(0.0, abs=0.05)
    marked = site[0].runs / wrong_start(site, "flag")[0].path / "state.json"
    assert json.loads(marked.read_text())["words"] == "flipped at Cr3"
    [row] = ConfigurationEnergies.from_results([results["static"]]).rows
    assert row.notes[0] == "not in the state asked for (FM): flipped at Cr3, which is AFM-A"


def test_a_wrong_start_is_cured_by_another_start(site):
    flagged = Result.load(site[0].runs / wrong_start(site, "flag")[0].path)
    chain = wrong_start(site, "reseed", choice="reseed", reseeds=2)
    result = run(chain[:1], site[0])["static"]
    state = state_of(result)
    assert result.id == flagged.id
    assert (state["verdict"], state["order"], state["seeds"]) == ("kept", "FM", 1)
    assert result.total_moment == pytest.approx(6.0, abs=0.05)
    assert result.energy > flagged.energy + 0.1  # at 30 Ry AFM is far lower: another state, not another precision
    [correction] = result.corrections
    assert correction["errors"] == ["not in the state asked for: flipped at Cr3; again from scratch"]
    assert correction["touches"] == []
    assert not (site[0].runs / chain[0].path / "state.json").exists()


def test_a_state_that_is_accepted_goes_by_its_own_name(site):
    result = run(wrong_start(site, "accept", choice="accept")[:1], site[0])["static"]
    assert state_of(result)["verdict"] == "flipped"
    [row] = ConfigurationEnergies.from_results([result]).rows
    assert row.name == "AFM-A (asked as FM)"
    assert not any("asked for" in note for note in row.notes)


def test_nothing_starts_from_a_wrong_state_where_it_is_to_stop(site):
    chain = wrong_start(site, "stop", choice="stop")
    with pytest.raises(CalculationError, match=r"not in the state asked for \(FM\): flipped at Cr3, which is AFM-A"):
        run(chain[:1], site[0])
    with pytest.raises(CalculationError, match=r"the step before, .*static, failed; heterodft retry"):
        run(chain[1:2], site[0])


def test_a_density_that_is_not_that_of_the_static_step_is_told(site):
    settings, chains = site
    chain = as_variant(chains["AFM-A"], "crn.mixed", "x")
    run(chain[:1], settings)
    folder = settings.runs / chain[0].path
    run_calculation(folder, chain[0].id, settings)
    dos = chain[1]
    write_request(dos, settings.runs / dos.path)
    result = run(chain[1:2], settings)["dos"]
    density = settings.runs / dos.path / "pwscf.save/occup.txt"
    density.write_text(density.read_text() + "\n0.5\n")
    record = state_record(dos, result, settings.runs / dos.path)
    assert record["verdict"] == "other"
    assert record["words"] == "other: its Hubbard occupations are not those of the static step"


def test_every_other_start_is_one_that_pw_takes(site):
    """Where nothing is what was asked for, CrN is started again in all ways."""
    chain = wrong_start(site, "ladder", choice="reseed", reseeds=4)
    wanted = replace(asked_state(chain[0]), moments=(3.0, 3.0, -3.0, 3.0))  # never reached
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(espresso_state, "asked_state", lambda request: wanted)
        result = run(chain[:1], site[0])["static"]
    told = [one["errors"][0].rpartition("; again ")[2] for one in result.corrections]
    assert told == [
        "from scratch", "with larger moments", "from the occupations of its moments", "with smaller moments",
    ]  # fmt: skip
    assert state_of(result)["seeds"] == 4
    text = (site[0].runs / chain[0].path / "pw.in").read_text()
    assert "starting_ns_eigenvalue" not in text


def dying(monkeypatch, place):
    """Let the worker die once for each other start: before it is chosen, after, or as pw.x is about to start."""
    died = set()

    def once(folder, seed):
        if seed and seed not in died:
            died.add(seed)
            raise KeyboardInterrupt

    if place == "before it is chosen":
        real = espresso_state.StateHandler.correct

        def correct(handler, directory="./"):
            once(Path(directory), seeds_taken(Path(directory)) + 1)
            return real(handler, directory)

        monkeypatch.setattr(espresso_state.StateHandler, "correct", correct)
    elif place == "after it was chosen":
        run_job = espresso.EspressoJob.run

        def run_it(job, directory="./"):
            once(Path(directory), seeds_taken(Path(directory)))
            return run_job(job, directory)

        monkeypatch.setattr(espresso.EspressoJob, "run", run_it)
    else:
        start = espresso.start_program

        def start_it(command, folder, **options):
            once(folder, seeds_taken(folder))
            return start(command, folder, **options)

        monkeypatch.setattr(espresso, "start_program", start_it)
    return died


@pytest.mark.parametrize("place", ["before it is chosen", "after it was chosen", "as pw.x starts"])
def test_a_worker_that_dies_between_two_starts_neither_loses_nor_repeats_one(site, monkeypatch, place):
    chain = wrong_start(site, place.replace(" ", "-"), choice="reseed", reseeds=4)
    wanted = replace(asked_state(chain[0]), moments=(3.0, 3.0, -3.0, 3.0))  # never reached
    monkeypatch.setattr(espresso_state, "asked_state", lambda request: wanted)
    died = dying(monkeypatch, place)
    for _ in range(4):
        with pytest.raises(InterruptedCalculation):
            run(chain[:1], site[0])
    result = run(chain[:1], site[0])["static"]
    folder = site[0].runs / chain[0].path
    assert died == {1, 2, 3, 4}
    told = [one["errors"][0].rpartition("; again ")[2] for one in result.corrections]
    assert told == [
        "from scratch", "with larger moments", "from the occupations of its moments", "with smaller moments",
    ]  # fmt: skip
    texts = [path.read_text() for path in reversed(outputs_of(folder, "pw.in"))]
    assert len(texts) == 5
    assert "from the density" in first_potential(texts[0])
    assert all("superposition of free atom" in first_potential(text) for text in texts[1:])
    assert result.spent["runs"] == 5
    assert result.spent["iterations"] == sum(text.count("iteration #") for text in texts) > result.iterations
    assert result.spent["cpu_seconds"] == pytest.approx(result.cpu_seconds, abs=0.02)


def first_potential(text):
    if "Initial potential from superposition of free atoms" in text:
        return "superposition of free atoms"
    return "from the density" if "The initial density is read from file" in text else text


def test_a_reseed_chosen_after_the_end_goes_on_and_so_do_the_steps_after_it(site):
    settings, _ = site
    flagged = run(wrong_start(site, "later")[:2], settings)
    assert [state_of(one)["verdict"] for one in flagged.values()] == ["flipped", "flipped"]
    chain = wrong_start(site, "later", choice="reseed", reseeds=1)
    results = run(chain[:2], settings)
    assert [one.id for one in results.values()] == [one.id for one in flagged.values()]
    assert [state_of(one)["verdict"] for one in results.values()] == ["kept", "kept"]
    assert [one["before"]["same"] for one in map(state_of, results.values())][1] is True
    assert len(outputs_of(settings.runs / chain[0].path, "pw.in")) == 2
    assert len(outputs_of(settings.runs / chain[1].path, "pw.in")) == 2
    run(chain[:2], settings)
    assert len(outputs_of(settings.runs / chain[1].path, "pw.in")) == 2, "once"


def test_the_ladder_is_taken_up_after_a_stop(site):
    chain = wrong_start(site, "stopped", choice="stop")
    with pytest.raises(CalculationError, match="flipped at Cr3"):
        run(chain[:1], site[0])
    result = run(wrong_start(site, "stopped", choice="reseed", reseeds=1)[:1], site[0])["static"]
    assert (state_of(result)["verdict"], state_of(result)["seeds"]) == ("kept", 1)
    assert result.spent["runs"] == 2


def test_stop_chosen_after_the_end_computes_nothing_even_without_its_density(site):
    chain = wrong_start(site, "stop-later")
    run(chain[:1], site[0])
    folder = site[0].runs / chain[0].path
    (folder / "pwscf.save/charge-density.dat").unlink()
    with pytest.raises(CalculationError, match="with unreached: stop nothing starts from it"):
        run(wrong_start(site, "stop-later", choice="stop")[:1], site[0])
    assert not (folder / "result.json").exists()
    accepted = run(wrong_start(site, "stop-later", choice="accept")[:1], site[0])["static"]
    assert state_of(accepted)["choice"] == "accept"
    assert len(outputs_of(folder, "pw.in")) == 1
