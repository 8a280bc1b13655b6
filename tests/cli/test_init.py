from __future__ import annotations

import json
import re

import jsonschema
import pytest
from ruamel.yaml import YAML

from heterodft.workflows.campaign_file import _plain, load_campaign
from heterodft.workflows.campaign_schema import SCHEMA_NAME, published_schema
from heterodft.workflows.starters import known_starters, starter_text

VALIDATOR = jsonschema.Draft202012Validator(json.loads(published_schema()))
GENERAL = ("superlattice", "defects", "u-scan")
_NEEDS = {"reseeds": ("  # unreached: flag", "  unreached: reseed")}
"""A key that means something only beside another one."""


def test_init_writes_a_campaign_and_its_schema_and_plan_takes_it(heterodft):
    told = heterodft("init", "mine", "--template", "u-scan").stdout
    assert "mine.yaml" in told
    assert (heterodft.folder / SCHEMA_NAME).read_text() == published_schema()
    assert (heterodft.folder / "mine.yaml").read_text().startswith(f"# yaml-language-server: $schema={SCHEMA_NAME}\n")
    plan = json.loads(heterodft("plan", "mine.yaml", "--json").stdout)
    assert plan["campaign"] == "mine"
    assert len(plan["calculations"]) == 12  # two orders, three U, two steps


def test_init_overwrites_nothing(heterodft):
    (heterodft.folder / "campaign.yaml").write_text("mine")
    (heterodft.folder / SCHEMA_NAME).write_text("{}")
    assert "campaign.yaml is there already" in heterodft("init", code=1).stderr
    heterodft("init", "other")
    assert (heterodft.folder / "campaign.yaml").read_text() == "mine"
    assert (heterodft.folder / SCHEMA_NAME).read_text() == "{}"


def test_bad_names_and_templates_are_told(heterodft):
    assert "did you mean 'defects'" in heterodft("init", "-t", "defect", code=1).stderr
    assert "'a b' is no name" in heterodft("init", "a b", code=2).stderr
    for nothing in ("", ".", "/", "..", ".yaml"):
        assert "is no name; begin with a letter or digit" in heterodft("init", nothing, code=2).stderr


def test_the_line_of_an_example_does_not_end_with_the_name_of_a_journal():
    assert known_starters()["cr2o3-crn"].line.endswith("Phys. Rev. Lett. 128, 017202 (2022).")


@pytest.mark.parametrize("name", ["123", "1e5", "null", "true", "2024-01-01", "0x10"])
def test_a_name_that_yaml_takes_for_something_else_stays_a_text(name, tmp_path):
    (tmp_path / "trial.yaml").write_text(starter_text(known_starters()["superlattice"], name=name))
    assert load_campaign(tmp_path / "trial.yaml").name == name


def test_the_list_goes_without_what_would_be_written(heterodft_inside):
    for words in (("mine",), ("--template", "defects")):
        assert "--list writes nothing; leave out" in heterodft_inside("init", "--list", *words, code=2).stderr
    assert not list(heterodft_inside.folder.iterdir())


def test_the_list_names_every_template_in_one_line(heterodft):
    rows = json.loads(heterodft("init", "--list", "--json").stdout)
    assert {row["name"] for row in rows} >= {*GENERAL, "demo"}
    assert all(row["line"] and "\n" not in row["line"] for row in rows)


@pytest.mark.parametrize("code", ["espresso", "vasp"])
@pytest.mark.parametrize("name", GENERAL)
def test_every_template_builds_plans_and_writes_inputs_in_both_codes(name, code, heterodft_inside):
    version = ("--pw-version", "7.2") if code == "espresso" else ()
    heterodft_inside("init", "trial", "--template", name)
    heterodft_inside("build", "trial.yaml")
    heterodft_inside("plan", "trial.yaml", "--code", code, *version)
    heterodft_inside("inputs", "trial.yaml", "--code", code, *version)
    wanted = "pw.in" if code == "espresso" else "INCAR"
    assert list((heterodft_inside.folder / "inputs" / "trial").glob(f"*/*/*/*/{wanted}"))


@pytest.mark.parametrize("name", sorted(known_starters()))
def test_every_template_and_example_is_written_reads_and_fits_the_schema(name, heterodft_inside):
    heterodft_inside("init", "trial", "--template", name)
    path = heterodft_inside.folder / "trial.yaml"
    campaign = load_campaign(path)
    assert (campaign.name == "trial") is (campaign.published is None)
    VALIDATOR.validate(_plain(YAML(typ="rt").load(path.read_text())))


@pytest.mark.slow
@pytest.mark.parametrize("code", ["espresso", "vasp"])
@pytest.mark.parametrize("name", [name for name in known_starters() if name.endswith("-small")])
def test_every_small_paper_builds_plans_and_writes_inputs_in_both_codes(name, code, heterodft_inside):
    version = ("--pw-version", "7.2") if code == "espresso" else ()
    heterodft_inside("init", "trial", "--template", name)
    heterodft_inside("build", "trial.yaml")
    plan = json.loads(heterodft_inside("plan", "trial.yaml", "--code", code, *version, "--json").stdout)
    heterodft_inside("inputs", "trial.yaml", "--code", code, *version)
    assert len(list((heterodft_inside.folder / "inputs").glob("*/*/*/*/*/request.json"))) == len(plan["calculations"])


def uncommented(lines, number):
    """Take away the "# " of a key, and of the sections that it is in."""
    lines = list(lines)
    depth = len(lines[number].split("#")[1]) - len(lines[number].split("#")[1].lstrip())
    for above in range(number, -1, -1):
        found = re.match(r"( *)#( +)(\w+):", lines[above])
        if found is None:
            break
        own = len(found[2])
        if above == number or own < depth:
            lines[above] = f"{found[1]}{found[2][1:]}{lines[above][found.end(2) :]}"
            depth = own
    return lines


@pytest.mark.parametrize("name", GENERAL)
def test_every_commented_key_is_right_when_its_sign_is_taken_away(name, tmp_path):
    text = starter_text(known_starters()[name])
    lines = text.splitlines()
    keys = [i for i, line in enumerate(lines) if re.match(r" *# +[a-z_]+: [^ #].* # [A-Z]", line)]
    assert len(keys) > 50
    path = tmp_path / "trial.yaml"
    for number in keys:
        key = re.match(r" *# +(\w+):", lines[number])[1]
        changed = "\n".join(uncommented(lines, number))
        for old, new in [_NEEDS[key]] if key in _NEEDS else []:
            changed = changed.replace(old, new)
        path.write_text(changed)
        VALIDATOR.validate(_plain(YAML(typ="rt").load(changed)))
        if key not in ("file", "published"):  # which name files that are not there
            load_campaign(path)
