"""What the README shows is what the program does."""

from __future__ import annotations

import json
import re
from pathlib import Path

from heterodft.workflows.settings_file import load_settings

README = (Path(__file__).parents[1] / "README.md").read_text()
YAML = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)


def test_its_campaign_file_makes_five_structures_and_ten_calculations(heterodft):
    (heterodft.folder / "campaign.yaml").write_text(YAML[0])
    assert len(json.loads(heterodft("build", "campaign.yaml", "--json").stdout)) == 5
    assert len(json.loads(heterodft("plan", "campaign.yaml", "--json").stdout)["calculations"]) == 10


def test_its_commands_exist(heterodft):
    names = set(re.findall(r"^heterodft (\w+)", README, re.MULTILINE))
    assert len(names) == 14
    for name in names:
        heterodft(name, "--help")


def test_its_settings_are_accepted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "heterodft.yaml").write_text(YAML[1])
    assert load_settings().cores == 2


def test_the_campaign_file_is_that_of_the_demonstration(demo_file, heterodft):
    (heterodft.folder / "campaign.yaml").write_text(YAML[0])
    ids = [
        [c["id"] for c in json.loads(heterodft("plan", str(path), "--json").stdout)["calculations"]]
        for path in ("campaign.yaml", demo_file)
    ]
    assert ids[0] == ids[1]
