"""The main job with a real pw.x: submit, run, status, report, and what may get in between."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from html.parser import HTMLParser

import numpy as np
import psutil
import pytest

from heterodft.analysis.result import Result
from heterodft.units import RYDBERG

pytestmark = [pytest.mark.espresso, pytest.mark.slow]

STATIC = "tiny/bulk/FM/Ti-3d-4eV/static"


@pytest.fixture(scope="module")
def finished(tmp_path_factory, pw, heterodft_in, tiny_text):
    """The tiny campaign, run by two workers side by side."""
    folder = tmp_path_factory.mktemp("main")
    (folder / "tiny.yaml").write_text(tiny_text)
    program = heterodft_in(folder)
    program("submit", "tiny.yaml")
    progress = program("run", "-j", "2").stderr
    (folder / "progress.txt").write_text(progress)
    return program


def results(program):
    return sorted((program.folder / "runs").glob("**/result.json"))


def test_every_calculation_is_done(finished):
    status = json.loads(finished("status", "--json").stdout)
    assert status["counts"] == {"done": 4}
    assert len(results(finished)) == 4


def test_progress_tells_what_starts_and_ends_and_how_many_are_done(finished):
    lines = (finished.folder / "progress.txt").read_text().splitlines()
    assert sum("running tiny/" in line for line in lines) == 4
    assert sum(" done tiny/" in line for line in lines) == 4
    assert any(line.startswith("[4/4] done") for line in lines)


def test_energies_are_those_that_pw_printed(finished):
    compared = 0
    for path in results(finished):
        lines = re.findall(r"^!\s+total energy\s+=\s+(\S+) Ry", (path.parent / "pw.out").read_text(), re.MULTILINE)
        energy = json.loads(path.read_text())["energy"]
        if lines:
            assert energy == pytest.approx(float(lines[-1]) * RYDBERG, abs=1e-6)
            compared += 1
        else:
            assert energy is None
    assert compared == 2


def test_what_was_written_is_what_pw_read(finished):
    text = (finished.folder / "runs" / STATIC / "pw.out").read_text()
    assert "Starting magnetic structure" in text
    moments = re.findall(r"^\s+(Sr|Ti|O)\s+(-?\d\.\d{3})$", text, re.MULTILINE)
    assert ("Ti", "0.083") in moments  # 1 μB of 12 valence electrons
    assert "U( 1)" in text or re.search(r"Hubbard U.*\n.*Ti", text) or "Simplified LDA+U" in text


def test_the_dos_comes_from_the_density_of_its_static_step(finished):
    static = finished.folder / "runs" / STATIC
    dos = finished.folder / "runs" / STATIC.replace("static", "dos")
    assert "The potential is recalculated from file" in (dos / "pw.out").read_text()
    assert (static / "pwscf.save" / "charge-density.dat").is_file()
    xml = "pwscf.save/data-file-schema.xml"
    assert (dos / xml).read_bytes() != (static / xml).read_bytes()


def test_nothing_large_is_left_that_no_step_needs(finished):
    """The density stays, for steps to come; wavefunctions, scratch and copies of the density go."""
    left = [p.relative_to(finished.folder) for p in (finished.folder / "runs").glob("**/*") if p.is_file()]
    assert [p for p in left if p.name.startswith(("wfc", "pwscf.wfc", "pwscf.mix", "pwscf.hub"))] == []
    assert {p.parent.parent.name for p in left if p.name == "charge-density.dat"} == {"static"}


def test_projections_add_up_to_the_lowdin_charges(finished):
    """A factor of two in spin, k-weights or units would show here."""
    result = Result.load(finished.folder / "runs" / STATIC.replace("static", "dos"))
    below = result.dos.energies <= result.fermi_level
    charges = np.trapezoid(result.dos.values.sum(axis=(1, 2))[:, below], result.dos.energies[below], axis=1)
    # Sr 4s is narrower than the energy grid; hence not closer than a tenth.
    assert charges == pytest.approx(np.array(result.sites["Löwdin"].charges), rel=0.1)
    assert sum(result.sites["Löwdin"].charges) == pytest.approx(result.electrons, rel=0.03)


def test_strontium_titanate_has_a_gap_and_no_moment(finished):
    result = json.loads((finished.folder / "runs" / STATIC.replace("static", "dos") / "result.json").read_text())
    assert 1.0 < result["gap"] < 4.0
    static = json.loads((finished.folder / "runs" / STATIC / "result.json").read_text())
    assert static["moment"] == pytest.approx(0, abs=0.01)
    assert static["request"]["state"]["verdict"] == "collapsed"


def test_a_second_submission_and_a_second_run_do_nothing(finished):
    before = {path: path.stat().st_mtime_ns for path in results(finished)}
    assert finished("submit", "tiny.yaml").stdout == "tiny: 4 finished already\n"
    assert "Ran 0 calculations" in finished("run").stdout
    assert {path: path.stat().st_mtime_ns for path in results(finished)} == before


class Page(HTMLParser):
    """Collects the addresses that a page would load."""

    def __init__(self, text):
        super().__init__()
        self.addresses = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.addresses += [
            value for name, value in attributes if name in ("src", "href", "xlink:href") and not value.startswith("#")
        ]


def test_the_report_needs_the_folders_alone_and_the_page_nothing_else(finished):
    (finished.folder / "runs" / "queue.sqlite").unlink()
    done = finished("report", "tiny.yaml", "-o", "report")
    for word in ("TiO2", "SrO", "collapsed", "demonstration", "one k-point", "20 Ry"):
        assert word in done.stdout
    assert "unrelaxed" not in done.stdout, "symmetry leaves no atom of the cube free"
    page = (finished.folder / "report" / "report.html").read_text()
    assert Page(page).addresses == []
    assert page.count("<svg") == 4  # the cell, the density of states and the energies of both orders
    for name in ("summary.csv", "layers.csv"):
        assert (finished.folder / "report" / name).is_file()
    data = json.loads(finished("report", "runs/tiny", "--json").stdout)
    assert [c["converged"] for c in data["configurations"]] == [True, True]
    assert all(len(c["layers"]) == 2 for c in data["configurations"])
    assert finished("submit", "tiny.yaml").stdout == "tiny: 4 finished already\n"


# -- what may get in between ---------------------------------------------------------------------------------


def one_static(heterodft, tiny_text, *changes):
    """Submit the static step of the FM configuration alone."""
    text = tiny_text.replace("orders: [NM, FM]", "orders: [FM]")
    text = text.replace("steps: [static, {dos: {kspacing: 0.9}}]", "steps: [static]")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (heterodft.folder / "tiny.yaml").write_text(text)
    heterodft("submit", "tiny.yaml")


SLOW = ("cutoff: 20 Ry, kspacing: 1.7", "cutoff: 60 Ry, kspacing: 0.4")
LASTING = ("cutoff: 20 Ry, kspacing: 1.7", "cutoff: 40 Ry, kspacing: 0.8")
"""Long enough to be killed in the midst, short enough to be waited for."""


def test_a_cycle_that_cannot_converge_fails_with_its_reason(heterodft, tiny_text, pw):
    one_static(heterodft, tiny_text, ("kspacing: 1.7", "kspacing: 1.7, max_scf_steps: 2, mixing: 0.0001"))
    done = heterodft("run", code=3)
    folder = heterodft.folder / "runs" / STATIC
    assert "JOB DONE." in (folder / "pw.out").read_text()
    assert re.search(r"SCF not converged after \d+ iterations", done.stderr)
    assert "raise max_scf_steps" in done.stderr
    assert "SCF not converged" in heterodft("status").stdout
    assert heterodft("run", code=3).stdout.startswith("Ran 0 calculations")
    assert "failed earlier" in heterodft("submit", "tiny.yaml").stdout
    report = heterodft("report", "tiny.yaml", code=3)
    assert "failed, SCF not converged" in report.stdout
    assert not (folder / "result.json").exists()


def test_a_cycle_of_too_few_steps_is_cured_and_says_so(heterodft, tiny_text, pw):
    one_static(heterodft, tiny_text, ("kspacing: 1.7", "kspacing: 1.7, max_scf_steps: 5"))
    heterodft("run")
    result = json.loads((heterodft.folder / "runs" / STATIC / "result.json").read_text())
    assert result["converged"]
    assert result["corrections"][0]["errors"] == ["SCF not converged"]
    assert result["corrections"][0]["changes"]["electrons->mixing_beta"] == [0.4, 0.32]
    assert result["corrections"][0]["touches"] == []
    assert "mixing_beta 0.4 → 0.32 (SCF not converged)" in heterodft("report", "tiny.yaml").stdout


def test_a_failed_calculation_can_be_retried(heterodft, tiny_text, pw):
    one_static(heterodft, tiny_text, ("kspacing: 1.7", "kspacing: 1.7, espresso: {diago_david_ndim: 99}"))
    heterodft("run", code=None)
    status = json.loads(heterodft("status", "--json").stdout)
    assert status["counts"] == {"failed": 1}
    assert status["calculations"][0]["reason"]
    assert "1 calculation back in the queue" in heterodft("retry", "--all-failed").stdout
    assert json.loads(heterodft("status", "--json").stdout)["counts"] == {"ready": 1}


def test_an_output_folder_without_room_fails_in_words(heterodft, tiny_text, pw):
    one_static(heterodft, tiny_text)
    folder = heterodft.folder / "runs" / STATIC
    (folder / "pw.in").mkdir()  # stands for a folder that cannot be written, also for root
    done = heterodft("run", code=3)
    assert "cannot write" in done.stderr
    assert "pw.in" in done.stderr


def processes_below(folder):
    """The programs that run in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd().startswith(str(folder)) and process.name() in ("pw.x", "mpirun", "orterun"):
                found.append(process)
        except psutil.Error:
            continue
    return found


def start_slow_run(heterodft, tiny_text, changes=SLOW):
    one_static(heterodft, tiny_text, changes)
    run = subprocess.Popen(
        [sys.executable, "-m", "heterodft", "run"],
        cwd=heterodft.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (processes_below(heterodft.folder) and "iteration #" in output_of(heterodft)):
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return run


def output_of(heterodft):
    path = heterodft.folder / "runs" / STATIC / "pw.out"
    return path.read_text() if path.is_file() else ""


def test_control_c_ends_the_program_and_keeps_the_calculation(heterodft, tiny_text, pw):
    run = start_slow_run(heterodft, tiny_text)
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "nothing is lost" in errors
    assert "Traceback" not in errors
    assert processes_below(heterodft.folder) == []
    assert json.loads(heterodft("status", "--json").stdout)["counts"] == {"ready": 1}


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.2, 0.5])
def test_control_c_in_the_first_moments_of_a_calculation_keeps_it(heterodft, tiny_text, pw, delay):
    one_static(heterodft, tiny_text, SLOW)
    command = [sys.executable, "-m", "heterodft", "run", "--quiet"]
    run = subprocess.Popen(command, cwd=heterodft.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    database = sqlite3.connect(f"file:{heterodft.folder}/runs/queue.sqlite?mode=ro", uri=True)
    deadline = time.monotonic() + 60
    while database.execute('SELECT state FROM "heterodft.fireworks"').fetchone()[0] != "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.002)
    time.sleep(delay)
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=60)
    assert processes_below(heterodft.folder) == []
    assert json.loads(heterodft("status", "--json").stdout)["counts"] == {"ready": 1}


def test_killed_workers_leave_no_second_program_and_lose_nothing(heterodft, tiny_text, pw):
    run = start_slow_run(heterodft, tiny_text, LASTING)
    worker = next(p for p in psutil.Process(run.pid).children() if "worker" in " ".join(p.cmdline()))
    os.kill(run.pid, signal.SIGKILL)
    os.kill(worker.pid, signal.SIGKILL)
    run.communicate(timeout=60)
    orphans = processes_below(heterodft.folder)
    assert orphans  # pw.x outlives its worker …
    again = heterodft("run")
    assert f"Put back into the queue, since their worker is gone: {STATIC}" in again.stderr
    assert all(not p.is_running() or p.status() == psutil.STATUS_ZOMBIE for p in orphans)  # … but not the next one
    assert "Ran 1 calculation " in again.stdout
    assert json.loads(heterodft("status", "--json").stdout)["counts"] == {"done": 1}


def test_a_single_worker_that_dies_is_noticed(heterodft, tiny_text, pw):
    run = start_slow_run(heterodft, tiny_text)
    worker = next(p for p in psutil.Process(run.pid).children() if "worker" in " ".join(p.cmdline()))
    os.kill(worker.pid, signal.SIGKILL)
    _, errors = run.communicate(timeout=60)
    for orphan in processes_below(heterodft.folder):
        orphan.kill()
    assert run.returncode == 1
    assert "a worker ended early" in errors
    assert json.loads(heterodft("status", "--json").stdout)["counts"] == {"ready": 1}


def test_a_result_on_disk_is_recorded_and_not_computed_again(heterodft, tiny_text, pw):
    one_static(heterodft, tiny_text)
    heterodft("run")
    folder = heterodft.folder / "runs" / STATIC
    printed = (folder / "pw.out").stat().st_mtime_ns
    (folder / "result.json").unlink()
    shutil.rmtree(heterodft.folder / "runs" / "workers")
    (heterodft.folder / "runs" / "queue.sqlite").unlink()
    heterodft("submit", "tiny.yaml")
    assert "Ran 1 calculation " in heterodft("run").stdout
    assert (folder / "result.json").is_file()
    assert (folder / "pw.out").stat().st_mtime_ns == printed
