"""The reference pages name what the program has."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import re
import shlex
import tomllib
from pathlib import Path

import click
import numpy as np
import pytest
from ruamel.yaml import YAML

from heterodft.analysis.result import Bands, Result
from heterodft.cli import _COMMANDS, cli
from heterodft.structures import build_material
from heterodft.structures.reference_lattices import REFERENCES
from heterodft.workflows.campaign import Campaign, StructureSpec
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.configurations import expand
from heterodft.workflows.queue.batch_settings import read_batch_settings
from heterodft.workflows.settings_file import SECTIONS, load_settings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("**/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
GENERATED = {DOCS / "reference" / "campaign-keys.md", DOCS / "reference" / "commands.md"}
BASE = """
name: x
materials: {SrTiO3: {prototype: perovskite}, LaAlO3: {}, CrN: {}, KTaO3: {}}
structures: {s: {stack: [{material: SrTiO3, layers: 2}]}}
steps: [relax, static]
"""


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
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            there = (page.parent / target).resolve()
            assert there.exists() or there in GENERATED, f"{page}: {target}"


def test_every_page_is_in_the_navigation():
    named = set(re.findall(r"[\w./-]+\.md", (ROOT / "mkdocs.yml").read_text()))
    assert named == {str(page.relative_to(DOCS)) for page in {*DOCS.glob("**/*.md"), *GENERATED}}


def command_lines():
    """Return the lines of all pages that call heterodft, with their page."""
    for page in PAGES:
        text = page.read_text()
        shown = [
            line for block in re.findall(r"```(?:sh|bash)\n(.*?)```", text, re.DOTALL) for line in block.splitlines()
        ]
        for line in [*shown, *re.findall(r"`(heterodft [^`]+)`", text)]:
            if line.startswith("heterodft ") and not line.startswith("heterodft-"):
                yield pytest.param(line, id=f"{page.relative_to(ROOT)}: {line}")


@pytest.mark.parametrize("line", list(command_lines()))
def test_every_command_line_parses(line, monkeypatch):
    monkeypatch.setattr(click.Path, "convert", lambda self, value, param, ctx: value)  # files of the reader
    words = shlex.split(line.partition(" > ")[0], comments=True)[1:]
    if words[0] in ("COMMAND", "--help", "…"):
        return
    parent = click.Context(cli, **cli.context_settings)
    command: click.Command | None = cli.get_command(parent, words.pop(0))
    assert command is not None, line
    if isinstance(command, click.Group) and words and not words[0].startswith("-"):
        command = command.commands[words.pop(0)]
    in_a_sentence = all(word.startswith("-") for word in words)  # without its file: `heterodft build`
    try:
        command.make_context("heterodft", words, parent=parent)
    except click.exceptions.Exit:  # -h
        return
    except click.MissingParameter:
        assert in_a_sentence, line


def yaml_blocks():
    for page in PAGES:
        if page.parent.name == "decisions":
            continue
        for number, text in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)):
            yield pytest.param(text, id=f"{page.relative_to(ROOT)}-{number}")


@pytest.mark.parametrize("text", list(yaml_blocks()))
def test_every_yaml_block_is_a_campaign_a_part_of_one_or_settings(text, tmp_path, monkeypatch):
    data = YAML(typ="safe").load(text)
    if set(data) <= set(SECTIONS):
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        monkeypatch.chdir(tmp_path)
        (tmp_path / "heterodft.yaml").write_text(text)
        (tmp_path / "my_launchpad.yaml").write_text("host: localhost\n")
        load_settings()
        return
    whole = "name" in data
    base = {} if whole else YAML(typ="safe").load(BASE)
    if "film" in data.get("materials", {}) or "file" in data.get("materials", {}).get("SrTiO3", {}):
        build_material("SrVO3", a=3.84).cell.to(str(tmp_path / "my-film.cif"))
        build_material("SrTiO3").cell.to(str(tmp_path / "CONTCAR"), fmt="poscar")
        data["materials"] = base["materials"] | data["materials"]
    file = tmp_path / "campaign.yaml"
    with file.open("w") as stream:
        YAML().dump(base | data, stream)
    campaign = load_campaign(file)
    if whole:
        assert expand(campaign)


def test_the_campaign_of_the_tutorial_is_that_of_the_template(heterodft):
    heterodft("init", "sto-lao")
    (text,) = [
        text
        for text in re.findall(r"```yaml\n(.*?)```", (DOCS / "tutorial.md").read_text(), re.DOTALL)
        if "name:" in text
    ]
    (heterodft.folder / "shown.yaml").write_text(text)
    written, shown = (heterodft("plan", name, "--json").stdout for name in ("sto-lao.yaml", "shown.yaml"))
    assert written == shown
    assert "sl/FM/Ti-3d-4eV/dos" in shown


def tool(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_reference_has_every_key_and_every_command():
    pages = tool("reference_pages")
    keys, commands = pages.campaign_page(), pages.commands_page()
    for model in (Campaign, StructureSpec):
        assert {name for name in model.model_fields if not re.search(rf"^\| `{name}`", keys, re.MULTILINE)} == set()
    assert re.findall(r"^## heterodft (\w+)", commands, re.MULTILINE) == list(_COMMANDS)
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in keys.splitlines() if row.startswith("|")} == {6}


LICENCES = (DOCS / "reference" / "licences.md").read_text()


def test_licences_are_listed_of_all_that_is_installed():
    licences = tool("check_licences")
    assert licences.faults(LICENCES) == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    direct = licences.listed(LICENCES.split("These need in turn")[0])
    assert set(direct) == {re.match(r"[\w.-]+", line)[0].replace(".", "-") for line in project["dependencies"]}
    for extra, lines in project["optional-dependencies"].items():
        for line in lines:
            assert re.match(r"[\w-]+", line)[0] in LICENCES, f"[{extra}]: {line}"


def test_a_licence_that_is_missing_or_another_is_noticed():
    licences = tool("check_licences")
    page = re.sub(r"^\| idna .*\n", "", LICENCES, flags=re.MULTILINE).replace("| spglib | BSD-3", "| spglib | MIT")
    missing, other = licences.faults(page)
    assert re.fullmatch(r"idna \S+ is not listed; its licence: BSD", missing)
    assert re.fullmatch(r"spglib \S+ is listed as MIT-Clause, and says BSD", other)


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


def test_the_reference_list_is_told_whole():
    page = (DOCS / "howto" / "add-a-material.md").read_text()
    assert [name for name in REFERENCES if name not in page] == []


def test_the_superlattice_of_the_how_to_is_what_its_words_say(tmp_path):
    page = (DOCS / "howto" / "own-superlattice.md").read_text()
    file = tmp_path / "lmo-smo.yaml"
    file.write_text(re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0])
    (one,) = expand(load_campaign(file))
    assert f"sl/{one.order}/{one.hubbard_label}" == "sl/FM/Mn-3d-3eV"
    assert len(one.built.structure) == 20
    assert sum(one.moments) == 16
    assert (float(build_material("LaMnO3").cell.lattice.a), round(3.941 / 3.805 - 1, 4)) == (3.941, 0.0357)
