"""What every command owes to the one who types: help, completion, tables that fit, and Ctrl-C."""

from __future__ import annotations

import importlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import click
import pytest

from heterodft.cli import _COMMANDS
from heterodft.cli.common import print_table


def commands():
    for name in _COMMANDS:
        command = importlib.import_module(f"heterodft.cli.{name}").command
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", one) for inner, one in command.commands.items())


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=lambda x: x if isinstance(x, str) else "")
def test_every_help_text_has_an_example(name, command):
    assert re.search(rf"^\s*(Example: )?heterodft {name}\b", command.help or "", re.MULTILINE)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_call_the_program(shell, heterodft):
    assert f"_HETERODFT_COMPLETE={shell}_complete" in heterodft("completion", shell).stdout


def test_completion_knows_commands_options_and_values(heterodft):
    def complete(*words):
        ask = {"_HETERODFT_COMPLETE": "bash_complete", "COMP_CWORD": str(len(words) - 1)}
        return heterodft(environment=ask | {"COMP_WORDS": " ".join(words)}).stdout.split()

    assert complete("heterodft", "se") == ["plain,settings"]
    assert "plain,--code" in complete("heterodft", "plan", "--")
    assert complete("heterodft", "plan", "--code", "v") == ["plain,vasp"]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("plann",), "plan"),
        (("plan", "--jsno"), "--json"),
        (("pseudos", "lst"), "list"),
        (("init", "--lst"), "--list"),
    ],
)
def test_a_slip_of_the_pen_is_answered_with_what_was_meant(words, meant, heterodft):
    assert re.search(rf"[Dd]id you mean '{meant}'", heterodft(*words, code=2).stderr)


def in_a_window(width, monkeypatch):
    from rich.console import Console

    monkeypatch.setattr("heterodft.cli.common.console", lambda: Console(file=sys.stdout, width=width))


def test_a_table_leaves_out_spare_columns_until_it_fits(monkeypatch, capsys):
    rows = [["a" * 20, "b" * 20, "c" * 20]]
    in_a_window(60, monkeypatch)
    print_table("", ["first", "second", "third"], rows, spare=("second",))
    out, err = capsys.readouterr()
    assert "b" * 20 not in out
    assert "Left out in this narrow window: second" in err
    assert max(map(len, out.splitlines())) <= 60
    in_a_window(100, monkeypatch)
    print_table("", ["first", "second", "third"], rows, spare=("second",))
    assert "b" * 20 in capsys.readouterr().out


def test_numbers_are_never_broken_and_words_go_on_in_a_next_line(monkeypatch, capsys):
    in_a_window(40, monkeypatch)
    columns = [">E (eV)", "gap", ">up", ">down"]
    print_table("", columns, [["-20923.8965", "metal, spin down with a gap", "1.0", "2.0"]], spare=[("up", "down")])
    out, err = capsys.readouterr()
    assert "-20923.8965" in out
    assert " 2.0" in out
    assert not err
    assert max(map(len, out.splitlines())) <= 40
    in_a_window(28, monkeypatch)
    print_table("", columns, [["-20923.8965", "metal, spin down with a gap", "1.0", "2.0"]], spare=[("up", "down")])
    out, err = capsys.readouterr()
    assert "-20923.8965" in out
    assert "Left out in this narrow window: up, down" in err


def test_the_bar_leaves_room_for_its_words(tmp_path):
    from rich.console import Console

    from heterodft.cli.run import _screen
    from heterodft.workflows.queue.summary import QueueEntry

    entry = QueueEntry("lmo-smo/sl/FM/Mn-3d-3eV/static", "running", tmp_path, "1")
    for width in (40, 60, 120):
        screen = Console(width=width, record=True, file=io.StringIO())
        screen.print(_screen([entry], {}, time.monotonic(), width))
        text = screen.export_text()
        assert "0 of 1 finished, 0 s" in text
        assert "".join(text.split()).count("…") == 0


class PoolOf:
    """Looks at a pool of workers that is alive for so many of them."""

    def __init__(self, looks):
        self.looks = looks

    def alive(self):
        self.looks -= 1
        return self.looks >= 0

    def exit_codes(self):
        return []

    def ended(self):
        return set()


def test_on_a_pipe_what_another_run_does_is_told_once_and_not_counted(tmp_path, monkeypatch, capsys):
    from heterodft.cli import run
    from heterodft.workflows.queue.summary import QueueEntry
    from heterodft.workflows.settings_file import load_settings

    states = ["running"] * 8 + ["done"]
    reads = iter([*states, *["done"] * 20])
    monkeypatch.setattr("heterodft.workflows.queue.summary.read_queue",
                        lambda _settings: [QueueEntry("x/sl/FM/noU/dos", next(reads), tmp_path, "1")])  # fmt: skip
    monkeypatch.setattr("heterodft.workflows.queue.pool.recover", lambda _settings: [])
    monkeypatch.setattr("heterodft.workflows.queue.pool.running_workers", lambda *_: nullcontext(PoolOf(9)))
    monkeypatch.setattr("heterodft.workflows.progress.describe_running", lambda _folder: "pw.x, k-point 1 of 3")
    monkeypatch.setattr(run, "_check_programs", lambda *_: None)
    monkeypatch.setattr(run, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(run, "_LINE_SECONDS", 0.0)
    assert run.work_off(replace(load_settings(), runs=tmp_path), 1) == 0
    out, err = capsys.readouterr()
    assert out.startswith("Ran 0 calculations")
    assert err.splitlines()[0] == "Running elsewhere already, and waited for: x/sl/FM/noU/dos"
    assert err.splitlines()[1:] == ["[0/1] x/sl/FM/noU/dos: pw.x, k-point 1 of 3", "[1/1] done x/sl/FM/noU/dos"]


def test_run_with_a_file_says_what_runs(heterodft):
    assert "submit mine.yaml" in heterodft("run", "mine.yaml", code=2).stderr


def test_completion_knows_templates(heterodft):
    words = "heterodft init --template u-"
    ask = {"_HETERODFT_COMPLETE": "bash_complete", "COMP_CWORD": "3", "COMP_WORDS": words}
    assert heterodft(environment=ask).stdout.split() == ["plain,u-scan"]


def test_completion_knows_the_queue_and_the_families(heterodft):
    def complete(*words):
        ask = {"_HETERODFT_COMPLETE": "bash_complete", "COMP_CWORD": str(len(words) - 1)}
        return heterodft(environment=ask | {"COMP_WORDS": " ".join(words)}).stdout.split()

    assert complete("heterodft", "status", "sto") == ["file,sto"]
    assert "plain,pseudodojo-0.4-pbe-sr-standard" in complete("heterodft", "pseudos", "install", "pseudod")
    heterodft("init", "sto", "-t", "superlattice")
    heterodft("submit", "sto.yaml", code=None)
    assert complete("heterodft", "cancel", "st")[0] == "plain,sto"
    assert all(line.startswith("plain,sto/") for line in complete("heterodft", "cancel", "sto/"))
    assert complete("heterodft", "retry", "--campaign", "s") == ["plain,sto"]


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
def test_fish_shows_descriptions_with_commas_whole(heterodft, tmp_path):
    script = tmp_path / "heterodft.fish"
    script.write_text(heterodft("completion", "fish").stdout, encoding="utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    told = subprocess.run(
        ["fish", "--no-config", "-c", f"source {script}; complete -C 'heterodft re'"],
        capture_output=True, text=True, check=True, env=os.environ | {"PATH": path},
    ).stdout  # fmt: skip
    assert "report\tTables, figures and one HTML page" in told


def test_output_on_a_pipe_has_no_colours(heterodft):
    heterodft("init", "-t", "u-scan")
    for words in (("plan", "campaign.yaml"), ("init", "--list"), ("settings",)):
        done = heterodft(*words, code=None)
        assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.02, 0.5, 1.5])
@pytest.mark.parametrize("name", ["build", "plan", "inputs", "report"])
def test_ctrl_c_ends_in_one_line_and_the_same_command_goes_on(name, after, heterodft):
    heterodft("init", "-t", "defects")
    program = "from heterodft.__main__ import main; print('begun', flush=True); main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, name, "campaign.yaml"],
        cwd=heterodft.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    process.stdout.readline()
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err, err
    if process.returncode == 130:
        assert err.splitlines()[-1] == "heterodft: stopped; nothing is lost, the same command goes on from here"
    else:  # it was done before, or while Python was ending
        assert process.returncode in (1 if name == "report" else 0, -signal.SIGINT), err
    if name == "build":
        heterodft("build", "campaign.yaml")
        assert not [path for path in heterodft.folder.rglob("*") if path.name.startswith(".") or "tmp" in path.suffix]


def test_ctrl_c_inside_a_callback_of_python_is_not_forgotten():
    program = """
import time, weakref
import heterodft.cli
from heterodft.__main__ import main

class Thing: ...

def interrupted(_):
    raise KeyboardInterrupt

def run():
    thing = Thing()
    reference = weakref.ref(thing, interrupted)
    del thing
    time.sleep(20)

heterodft.cli.main = run
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 130
    assert done.stderr == "heterodft: stopped; nothing is lost, the same command goes on from here\n"
