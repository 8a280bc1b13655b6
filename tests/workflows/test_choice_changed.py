"""What is to be done about another state is chosen again, after the calculation is finished in one.

Through the queue, with `fake_vasp.py` in the place of VASP.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from fireworks import FWorker
from fireworks.core.rocket import Rocket
from vasp_library import CAMPAIGN, write_library

from heterodft.analysis.result import Result
from heterodft.workflows.calculation import write_request
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import campaign_chains
from heterodft.workflows.custodians.vasp_state import vasp_state_handler
from heterodft.workflows.queue.launchpad import open_launchpad
from heterodft.workflows.queue.summary import read_queue
from heterodft.workflows.runner import run_calculation
from heterodft.workflows.settings_file import load_settings

pytestmark = pytest.mark.filterwarnings(
    "ignore::pymatgen.io.vasp.inputs.UnknownPotcarWarning",
    "ignore::pymatgen.io.vasp.outputs.UnconvergedVASPWarning",
)

FAKE = f"{sys.executable} {Path(__file__).parents[1] / 'fake_vasp.py'}"
STEPS = ("relax", "static", "dos")


class Site:
    """A campaign that is written, submitted and run again and again."""

    def __init__(self, folder, inside):
        self.folder, self.inside = folder, inside

    def submit(self, choice="", name="v"):
        text = CAMPAIGN.replace("moments: {Fe: 4.0}", f"moments: {{Fe: 4.0}}{choice and ', ' + choice}")
        (self.folder / f"{name}.yaml").write_text(text.replace("name: v\n", f"name: {name}\n"))
        return self.inside("submit", f"{name}.yaml", "--json").stdout

    def run(self):
        """Run everything that is ready, in this process."""
        settings = load_settings()
        launchpad = open_launchpad(settings)
        worker = FWorker(name="here", env={"heterodft": settings.to_dict()})
        while ready := launchpad.get_fw_ids({"state": "READY"}):
            for number in ready:
                Rocket(launchpad, worker, number).run()

    def path(self, step, name="v"):
        return self.folder / f"runs/{name}/sl/AFM-A/Fe-3d-2eV-LaFeO3.1-4eV" / step

    def state(self, step, name="v"):
        return Result.load(self.path(step, name)).request["state"]

    def verdicts(self):
        return [self.state(step)["verdict"] for step in STEPS]

    def starts(self):
        return [len((self.path(step) / "started.jsonl").read_text().splitlines()) for step in STEPS]

    def queue(self):
        return [entry.state for entry in read_queue(load_settings())]


@pytest.fixture
def site(tmp_path, monkeypatch, heterodft_inside):
    """All three steps are finished without their moments, and flagged."""
    write_library(tmp_path, monkeypatch)
    monkeypatch.setenv("VASP_CMD", f"{FAKE} --needs 5")
    monkeypatch.chdir(tmp_path)
    site = Site(tmp_path, heterodft_inside)
    site.submit()
    site.run()
    assert site.verdicts() == ["collapsed"] * 3
    assert site.starts() == [1, 1, 1]
    return site


def report(text):
    return json.loads(text)


def test_the_same_choice_again_changes_nothing(site):
    assert len(report(site.submit())["done"]) == 3
    assert site.queue() == ["done"] * 3


def test_a_reseed_chosen_later_starts_again_and_so_does_all_that_follows(site):
    found = report(site.submit("unreached: reseed, reseeds: 1"))
    assert (len(found["queued"]), found["done"]) == (3, [])
    site.run()
    assert site.verdicts() == ["kept"] * 3
    assert site.starts() == [2, 2, 2], "nothing was computed again that need not be"
    assert site.state("relax")["seeds"] == 1
    assert not any("relaxed in another state" in note for note in site.state("static").get("notes", ()))
    assert not list(site.folder.glob("runs/**/state.json"))
    assert len(report(site.submit("unreached: reseed, reseeds: 1"))["done"]) == 3
    assert len(report(site.submit())["done"]) == 3, "what was reached stays"


def test_the_ladder_goes_on_where_it_stopped(site, monkeypatch):
    monkeypatch.setenv("VASP_CMD", f"{FAKE} --collapse")
    site.submit("unreached: reseed, reseeds: 1")
    site.run()
    assert site.state("relax")["seeds"] == 1
    assert site.starts()[0] == 2
    site.submit("unreached: reseed, reseeds: 2")
    site.run()
    told = [one["errors"][0].rpartition("; again ")[2] for one in _seeds(site.path("relax"))]
    assert told == ["with larger moments", "with smaller moments"]
    assert (site.starts()[0], site.state("relax")["verdict"]) == (3, "collapsed")
    assert site.state("relax")["seeds"] == 2
    again = report(site.submit("unreached: reseed, reseeds: 9"))
    assert [path.rpartition("/")[2] for path in again["done"]] == ["relax"], "there are no more other starts"


def _seeds(folder):
    attempts = json.loads((folder / "custodian.json").read_text())
    found = [one for attempt in attempts for one in attempt["corrections"]]
    return [one for one in found if one["handler"]["@class"] == "VaspStateHandler"]


def test_an_accepted_state_is_only_marked(site):
    assert len(report(site.submit("unreached: accept"))["done"]) == 3
    assert [site.state(step)["choice"] for step in STEPS] == ["accept"] * 3
    assert [json.loads((site.path(step) / "state.json").read_text())["choice"] for step in STEPS] == ["accept"] * 3
    assert Result.load(site.path("static")).request["about"]["unreached"] == {"choice": "accept"}
    site.submit()
    assert "choice" not in site.state("static")
    assert "choice" not in json.loads((site.path("static") / "state.json").read_text())
    assert (site.starts(), site.queue()) == ([1, 1, 1], ["done"] * 3)


def test_stop_chosen_later_fails_the_chain_without_computing(site):
    site.submit("unreached: stop")
    site.run()
    assert site.queue() == ["failed", "blocked", "blocked"]
    reason = json.loads((site.path("relax") / "failure.json").read_text())["reason"]
    assert "not in the state asked for (AFM-A): collapsed" in reason
    assert site.starts() == [1, 1, 1]
    assert report(site.submit("unreached: stop"))["failed"], "still"
    assert site.queue()[0] == "failed"


def test_what_was_stopped_is_taken_up_as_it_is(site):
    site.submit("unreached: stop")
    site.run()
    site.submit("unreached: accept")
    site.run()
    assert site.queue() == ["done"] * 3
    assert site.starts() == [1, 1, 1]
    assert [site.state(step)["choice"] for step in STEPS] == ["accept"] * 3


def test_the_ladder_is_taken_up_after_a_stop(tmp_path, monkeypatch, heterodft_inside):
    write_library(tmp_path, monkeypatch)
    monkeypatch.setenv("VASP_CMD", f"{FAKE} --needs 5")
    monkeypatch.chdir(tmp_path)
    site = Site(tmp_path, heterodft_inside)
    site.submit("unreached: stop")
    site.run()
    assert site.queue() == ["failed", "blocked", "blocked"]
    assert report(site.submit("unreached: reseed, reseeds: 1"))["queued"]
    site.run()
    assert (site.verdicts(), site.queue()) == (["kept"] * 3, ["done"] * 3)
    assert site.starts() == [2, 1, 1]


def test_a_shared_calculation_is_dealt_with_as_its_owner_asks_and_the_other_is_told(site):
    found = report(site.submit("unreached: stop", name="w"))
    assert len(found["shared"]) == 3
    assert len(found["notes"]) == 3
    assert "unreached: flag holds; the unreached: stop of this campaign does not change it" in found["notes"][0]
    assert site.verdicts() == ["collapsed"] * 3
    assert site.queue().count("done") == len(site.queue())


def test_nothing_of_a_campaign_that_stops_starts_from_the_other_state_of_a_shared_calculation(site):
    text = CAMPAIGN.replace("moments: {Fe: 4.0}", "moments: {Fe: 4.0}, unreached: stop").replace("name: v", "name: w")
    (site.folder / "w.yaml").write_text(text.replace("kspacing: 0.9", "kspacing: 0.8"))
    site.inside("submit", "w.yaml")
    site.run()
    reason = json.loads((site.path("dos", "w") / "failure.json").read_text())["reason"]
    assert "not in the state asked for (AFM-A): collapsed" in reason
    assert reason.endswith("with unreached: stop nothing starts from it")
    assert not (site.path("dos", "w") / "OUTCAR").exists()


def relaxation(site):
    """The relaxation, as if its worker had died before its state was looked at; two other starts are wanted."""
    text = CAMPAIGN.replace("moments: {Fe: 4.0}", "moments: {Fe: 4.0}, unreached: reseed, reseeds: 2")
    (site.folder / "v.yaml").write_text(text)
    relax = campaign_chains(load_campaign(site.folder / "v.yaml"), pseudo_dir=None, notes=[])[0][0]
    folder = site.path("relax")
    write_request(relax, folder)
    (folder / "result.json").unlink()
    return relax, folder


def sources(folder):
    lines = (folder / "started.jsonl").read_text().splitlines()
    return [(one["incar"]["MAGMOM"], one["source"]) for one in map(json.loads, lines)]


ASKED, LARGER = ("7*0 4 -4 0", "MAGMOM"), ("7*0 6 -6 0", "MAGMOM")


def test_a_worker_that_died_before_another_start_was_chosen_neither_repeats_nor_leaves_out(site):
    relax, folder = relaxation(site)
    result = run_calculation(folder, relax.id, load_settings())
    assert sources(folder) == [ASKED, LARGER]
    assert (result.request["state"]["verdict"], result.request["state"]["seeds"]) == ("kept", 1)


def test_a_worker_that_died_after_another_start_was_chosen_neither_repeats_nor_leaves_out(site):
    relax, folder = relaxation(site)
    handler = vasp_state_handler(relax)
    assert handler.take_up(folder)
    assert handler.is_chosen(folder)
    (folder / "CHGCAR").write_text("what a killed correction did not remove yet")
    result = run_calculation(folder, relax.id, load_settings())
    assert sources(folder) == [ASKED, LARGER]
    assert (result.request["state"]["verdict"], result.request["state"]["seeds"]) == ("kept", 1)
