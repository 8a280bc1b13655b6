"""`heterodft converge` as a user meets it: usage, previews, refusals, and small questions with the real pw.x."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from heterodft.cli import converge
from heterodft.workflows.calculation import write_request
from heterodft.workflows.drivers import KINDS
from heterodft.workflows.drivers.driver import read_driver

if TYPE_CHECKING:
    from pathlib import Path

BASE = """\
name: tiny
code: espresso
materials:
  SrTiO3: {prototype: perovskite, a: 3.905}
structures:
  bulk: {stack: [{material: SrTiO3, layers: 1}]}
magnetism: {orders: [NM, FM], moments: {Ti: 1.0}}
hubbard: {Ti-3d: 4.0}
method: {protocol: fast, cutoff: 20 Ry, kspacing: 1.7}
steps: [static]
"""
QUICK = "cutoff: {start: 20 Ry, stop: 40 Ry, step: 5 Ry, orders: [NM], quantities: {energy: 8 eV/atom}}"


def write(folder: Path, question: str = "", *, base: str = BASE) -> None:
    (folder / "tiny.yaml").write_text(base + (f"converge:\n  {question}\n" if question else ""))


def test_the_questions_of_the_command_are_those_there_are_drivers_of() -> None:
    assert set(converge._WHAT) == set(KINDS)
    assert tuple(KINDS) == converge._WHAT


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("cutoff: {start: 60 Ry, stop: 40 Ry}", "converge.cutoff: the range goes backwards"),
        ("kspacing: {values: [0.2, 0.4]}", "converge.kspacing: the values go backwards"),
        ("cutoff: {quantities: {energy: 0}}", "a tolerance of 0; nothing agrees to that, give one above 0"),
        ("cutoff: {quantities: {enrgy: 1 meV}}", "unknown quantity 'enrgy'; did you mean 'energy'?"),
        ("cutoff: {quantities: {volume: 0.1}}", "no step changes the cell"),
        ("cutof: {}", "unknown key 'cutof'; did you mean 'cutoff'?"),
        ("cutoff: {orders: [AFM-Q]}", "'AFM-Q'; known: FM, NM"),
        ("layers: {material: LaAlO3}", "no block of LaAlO3 has a number of layers to vary; known: SrTiO3"),
        ("vacuum: {}", "no structure has a vacuum; give one, vacuum: 12 Å"),
        ("hubbard: {Sr-4p: [0, 1]}", "Sr has no shell for a U"),
        ("hubbard: {Cr-3d: [0, 1]}", "no structure holds Cr"),
        ("hubbard: {Ti-3d: {start: 5, stop: 0, step: 1}}", "goes backwards"),
        ("linear_response: {elements: [Cr]}", "no structure holds Cr"),
        ("linear_response: {elements: [Sr]}", "'Sr' has no shell for a U; name an element with a d or f shell"),
        ("starts: {moments: [1]}", "there is no start besides the campaign's own"),
    ],
)
def test_what_cannot_be_answered_is_told_in_one_line_with_its_place(
    heterodft_inside: Any, question: str, told: str
) -> None:
    write(heterodft_inside.folder, question)
    done = heterodft_inside("converge", "tiny.yaml", "--dry-run", code=1)
    assert done.stdout == ""
    assert done.stderr.startswith("heterodft: tiny.yaml:12: converge.")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (heterodft_inside.folder / "runs").exists()


@pytest.mark.parametrize(("kind", "told"), [("hubbard", "no U to scan"), ("linear_response", "no element with a U")])
def test_a_campaign_without_u_has_no_question_of_u(heterodft_inside: Any, kind: str, told: str) -> None:
    write(heterodft_inside.folder, base=BASE.replace("hubbard: {Ti-3d: 4.0}\n", ""))
    done = heterodft_inside("converge", "tiny.yaml", "--what", kind, "--dry-run", code=1)
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "the file has no converge section; say what is asked: --what cutoff"),
        (("--what", "cutof"), "'cutof' is not one of 'cutoff'"),
        (("--what", "cutoff", "-j", "0"), "0 is not in the range"),
        (("--what", "cutoff", "--dry-run", "--run"), "--dry-run writes nothing; leave out --run"),
        (("--what", "cutoff", "--dry-run", "-o", "out"), "--dry-run writes nothing; leave out --output"),
    ],
)
def test_wrong_usage_is_told_with_exit_code_2(heterodft_inside: Any, words: tuple[str, ...], told: str) -> None:
    write(heterodft_inside.folder)
    assert told in heterodft_inside("converge", "tiny.yaml", *words, code=2).stderr


def test_a_key_without_a_value_asks_for_all_by_default(heterodft_inside: Any) -> None:
    write(heterodft_inside.folder, "smearing:")
    done = heterodft_inside("converge", "tiny.yaml", "--dry-run")
    assert done.stdout.startswith("tiny.smearing: 10 calculations at the most, an estimated")


def test_a_preview_names_every_point_and_writes_nothing(heterodft_inside: Any) -> None:
    write(heterodft_inside.folder, "cutoff: {start: 20 Ry, stop: 30 Ry, step: 5 Ry}")
    words = ("converge", "tiny.yaml", "--what", "cutoff", "--what", "starts", "--what", "cutoff", "--dry-run")
    done = heterodft_inside(*words)
    assert done.stderr.count("below the") == 2, "one note a question, not one a point"
    assert "cutoffs of 20 Ry to 30 Ry are below the" in done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines() if " Ry " in line] == ["20", "25", "30"]
    data = json.loads(heterodft_inside(*words, "--json").stdout)
    assert list(data) == ["cutoff", "starts"]
    assert data["cutoff"]["calculations"] == 6
    assert [point["label"] for point in data["cutoff"]["points"]] == ["20 Ry", "25 Ry", "30 Ry"]
    assert data["cutoff"]["core_hours"] == pytest.approx(sum(p["core_hours"] for p in data["cutoff"]["points"]))
    assert not (heterodft_inside.folder / "runs").exists()


@pytest.mark.parametrize(
    ("question", "number", "more"),
    [
        # two orders; from the atoms at three U, and up and down at two each
        ("hubbard: {Ti-3d: [0, 2, 4], branches: [cold, up, down]}", 14, ""),
        (
            "linear_response: {qmeshes: [1], orders: [NM], self_consistent: true}",
            2,
            "up to 5 rounds of 2 calculations",
        ),
        ("linear_response: {method: shifts, orders: [NM]}", 1, "8 shifts for each inequivalent site of each"),
    ],
)
def test_a_preview_counts_branches_and_says_what_it_cannot_count(
    heterodft_inside: Any, question: str, number: int, more: str
) -> None:
    write(heterodft_inside.folder, question)
    (found,) = json.loads(heterodft_inside("converge", "tiny.yaml", "--dry-run", "--json").stdout).values()
    assert found["calculations"] == number
    assert more in found["more"]
    assert bool(more) == bool(found["more"])


@pytest.mark.parametrize("kind", ["cutoff", "kspacing", "smearing", "hubbard", "starts"])
def test_vasp_has_previews_too(heterodft_inside: Any, kind: str) -> None:
    write(heterodft_inside.folder, base=BASE.replace("espresso", "vasp").replace("20 Ry", "400 eV"))
    done = heterodft_inside("converge", "tiny.yaml", "--what", kind, "--dry-run")
    assert f"tiny.{kind}: " in done.stdout


def test_hp_of_vasp_is_refused_with_the_way_that_there_is(heterodft_inside: Any) -> None:
    write(heterodft_inside.folder, base=BASE.replace("espresso", "vasp").replace("20 Ry", "400 eV"))
    done = heterodft_inside("converge", "tiny.yaml", "--what", "linear_response", "--dry-run", code=1)
    assert "hp.x needs code: espresso, not vasp; write method: shifts" in done.stderr


def test_what_is_only_queued_claims_no_savings(heterodft_inside: Any) -> None:
    write(heterodft_inside.folder, QUICK)
    done = heterodft_inside("converge", "tiny.yaml")
    assert "tiny.cutoff: put into the queue" in done.stderr
    assert "Not finished yet: tiny.cutoff" in done.stderr
    assert "saved" not in done.stdout
    assert "tiny.cutoff: in the queue already" in heterodft_inside("converge", "tiny.yaml", "--json").stderr


def test_failed_calculations_are_named_with_exit_code_3(heterodft_inside: Any) -> None:
    write(heterodft_inside.folder, QUICK)
    heterodft_inside("converge", "tiny.yaml")
    runs = heterodft_inside.folder / "runs"
    for point in read_driver(runs / "tiny.cutoff").points:
        (request,) = point.chains[0]
        write_request(request, runs / request.path)
        failure = {"reason": "no convergence\nin 100 iterations"}
        (runs / request.path / "failure.json").write_text(json.dumps(failure))
    done = heterodft_inside("converge", "tiny.yaml", code=3)
    for cutoff in (20, 25):
        assert f"heterodft: tiny.cutoff/bulk/NM/Ti-3d-4eV.{cutoff}Ry/static failed: no convergence\n" in done.stderr
    data = json.loads(heterodft_inside("converge", "tiny.yaml", "--json", code=3).stdout)
    assert len(data["cutoff"]["failures"]) == 2


def test_a_driver_file_that_was_damaged_is_written_again(heterodft_inside: Any) -> None:
    write(heterodft_inside.folder, QUICK)
    heterodft_inside("converge", "tiny.yaml")
    file = heterodft_inside.folder / "runs" / "tiny.cutoff" / "driver.json"
    good = file.read_text()
    file.write_text('{"schema": 1, "id"')
    heterodft_inside("converge", "tiny.yaml")
    assert file.read_text() == good


@pytest.mark.espresso
@pytest.mark.slow
@pytest.mark.usefixtures("pw")
def test_a_cutoff_is_found_shown_and_written(heterodft: Any) -> None:
    write(heterodft.folder, QUICK)
    done = heterodft("converge", "tiny.yaml", "--run", "--json", "-o", "out")
    data = json.loads(done.stdout)["cutoff"]
    assert (data["ended"], data["converged"], data["recommended_label"]) == (True, True, "20 Ry")
    assert data["computed"] == 2
    assert data["costs"]["saved"]["calculations"] == 3
    table = (heterodft.folder / "out" / "cutoff" / "convergence.csv").read_text()
    rows = list(csv.DictReader(table.splitlines()))
    assert [row["cutoff"] for row in rows] == ["20 Ry", "25 Ry"]
    assert (heterodft.folder / "out" / "cutoff" / "convergence.png").stat().st_size > 1000
    again = heterodft("converge", "tiny.yaml", "--run")
    assert "tiny.cutoff: finished" in again.stderr
    assert "20 Ry is enough; write method: {cutoff: 20 Ry}" in again.stdout
    assert "saved by stopping early: 3 calculations" in again.stdout
    assert max(map(len, again.stdout.split("is enough")[0].splitlines())) <= 100
    result = next((heterodft.folder / "runs").rglob("*25Ry*/static/result.json"))
    result.write_text('{"schema"')
    assert "25 Ry is to be computed" in heterodft("converge", "tiny.yaml").stdout
    assert "20 Ry is enough" in heterodft("converge", "tiny.yaml", "--run", "--quiet").stdout


@pytest.mark.espresso
@pytest.mark.slow
@pytest.mark.usefixtures("pw")
def test_a_question_that_was_interrupted_goes_on(heterodft: Any) -> None:
    write(heterodft.folder, QUICK)
    words = [sys.executable, "-m", "heterodft", "converge", "tiny.yaml", "--run"]
    with subprocess.Popen(words, cwd=heterodft.folder, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "running tiny.cutoff/bulk" in line:
                break
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130
    assert "nothing is lost, the same command goes on from here" in rest
    assert "is enough" in heterodft("converge", "tiny.yaml", "--run").stdout


@pytest.mark.espresso
@pytest.mark.slow
@pytest.mark.usefixtures("pw")
def test_an_order_that_does_not_exist_is_no_answer(heterodft: Any) -> None:
    write(heterodft.folder, QUICK.replace("orders: [NM]", "orders: [FM]"))
    done = heterodft("converge", "tiny.yaml", "--run", code=1)
    told = re.findall(
        r"not in the state asked for \(FM\): collapsed to NM(?: but for .* of the cell)? \(at (.*)\)", done.stdout
    )
    assert sorted(", ".join(told).split(", ")) == ["20 Ry", "25 Ry", "30 Ry"]
    assert "leave it out by orders, structures or quantities of converge.cutoff" in done.stdout
    assert "saved" not in done.stdout
    assert "heterodft: without a sure answer: tiny.cutoff (not converged)" in done.stderr
