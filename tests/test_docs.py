"""The reference pages name what the program has."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import numpy as np

from heterodft.analysis.result import Bands, Result
from heterodft.cli import _COMMANDS
from heterodft.structures import build_material
from heterodft.workflows.campaign import Campaign, StructureSpec
from heterodft.workflows.queue.batch_settings import read_batch_settings
from heterodft.workflows.settings_file import load_settings

DOCS = Path(__file__).parents[1] / "docs"


def words(page):
    return set(re.findall(r"`([\w.]+)`", (DOCS / page).read_text()))


def test_every_key_of_a_result_is_explained():
    bands = Bands(np.zeros((1, 1, 1)), np.ones((1, 1, 1)), np.zeros((1, 3)), np.ones(1))
    cell = build_material("SrTiO3").cell
    result = Result(
        "espresso", "6.7", "static", cell, 2.0, -1.0, (0.0,), None, None, {}, True, 1, 0.0, 1.0, 1.0, bands
    )
    assert set(result.to_dict()) <= words("results.md")


def test_every_key_of_a_campaign_is_explained():
    page = words("campaign.md")
    for model in (Campaign, StructureSpec):
        assert {name for name in model.model_fields if not any(w.split(".")[0] == name for w in page)} == set()


def test_links_between_pages_lead_somewhere():
    for page in [*DOCS.glob("**/*.md"), DOCS.parent / "README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_examples_of_the_structures_page_are_what_the_program_does():
    found = doctest.testfile(str(DOCS / "structures.md"), module_relative=False)
    assert found.attempted > 20
    assert found.failed == 0


def test_commands_and_options_of_the_running_page_exist():
    text = (DOCS / "running.md").read_text()
    for line in re.findall(r"`heterodft ([^`]+)`", text) + re.findall(r"^heterodft ([^#\n]+)", text, re.MULTILINE):
        name, *words = line.split()
        assert name in _COMMANDS, line
        command = importlib.import_module(f"heterodft.cli.{name}").command
        known = {option for parameter in command.params for option in parameter.opts}
        if name != "lpad":  # whose options are FireWorks'
            assert {word for word in words if word.startswith("-")} <= known, line


def test_settings_of_the_running_page_are_accepted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    read = []
    for block in re.findall(r"```yaml\n(.*?)```", (DOCS / "running.md").read_text(), re.DOTALL):
        (tmp_path / "heterodft.yaml").write_text(block)
        read.append(load_settings())
    (batch,) = [read_batch_settings(settings) for settings in read if settings.batch]
    assert (batch.scheduler, batch.walltime, batch.per_job) == ("slurm", 4 * 3600, 4)
    assert [settings.disk_budget for settings in read if settings.disk_budget] == [500]
