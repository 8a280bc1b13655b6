"""Every input file of every campaign, for both codes, as it was when it was last looked at.

A change on purpose: HETERODFT_UPDATE_SNAPSHOTS=1 pytest tests/workflows/test_input_snapshots.py, then read the diff.
The first chain of each campaign is kept as text, all others as checksums.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from heterodft.templates.pseudopotentials import family_for
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import campaign_chains
from heterodft.workflows.inputs import prepare_inputs
from heterodft.workflows.settings_file import load_settings

ROOT = Path(__file__).parents[2]
SNAPSHOTS = Path(__file__).parent / "snapshots"
SHARED = ROOT.parent / "shared" / "campaigns"
CAMPAIGNS = ("caruo3-lanio3", "cazro3-ktao3", "cr2o3-crn", "demo", "laalo3-ktao3", "laalo3-srtio3")
VERSIONS = {"espresso": (6, 7), "vasp": (6, 4)}
HEADER = '<UPF version="2.0.1"><PP_HEADER element="{}" z_valence="{}" number_of_wfc="{}" functional="{}"/></UPF>'


@pytest.fixture
def pseudo_dir(tmp_path):
    """Headers of the default family: all that inputs depend on."""

    def make(xc):
        family = family_for(xc)
        for element, entry in family.files.items():
            text = HEADER.format(element, entry["valence"], entry["wavefunctions"], xc)
            (tmp_path / entry["file"]).write_text(text)
        return tmp_path

    return make


def campaign_file(name, folder):
    """The file of a campaign; CrN's order of (110) planes is left out where its cell does not hold it."""
    if name == "demo":
        return ROOT / "examples" / "demo" / "campaign.yaml"
    if not SHARED.is_dir():
        pytest.skip("the folder of campaign files is not beside the project")
    path = folder / f"{name}.yaml"
    path.write_text((SHARED / path.name).read_text().replace("magnetism:\n", "magnetism:\n  unfit: skip\n"))
    return path


def decks(name, code, folder, pseudo_dir):
    campaign = load_campaign(campaign_file(name, folder)).for_code(code)
    files = pseudo_dir(campaign.method.xc or "PBE")
    settings = load_settings(pseudo_dir=files)
    chains = campaign_chains(campaign, pseudo_dir=files)
    for number, request in enumerate(request for chain in chains for request in chain):
        deck = prepare_inputs(request, settings, version=VERSIONS[code])
        for file, text in deck.files.items():
            yield number < len(chains[0]), f"{request.path}/{file}", text.replace(str(files), "PSEUDO_DIR")


@pytest.mark.parametrize("code", ["espresso", "vasp"])
@pytest.mark.parametrize("name", CAMPAIGNS)
def test_the_inputs_of_a_campaign_are_those_that_were_looked_at(name, code, tmp_path, pseudo_dir, monkeypatch):
    monkeypatch.delenv("PMG_VASP_PSP_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    made = list(decks(name, code, tmp_path, pseudo_dir))
    text = "".join(f"==> {path} <==\n{content}\n" for first, path, content in made if first)
    digests = {path: hashlib.sha256(content.encode()).hexdigest()[:12] for _, path, content in made}
    kept = SNAPSHOTS / f"{name}.{code}.txt", SNAPSHOTS / f"{name}.{code}.json"
    if os.environ.get("HETERODFT_UPDATE_SNAPSHOTS"):
        SNAPSHOTS.mkdir(exist_ok=True)
        kept[0].write_text(text)
        kept[1].write_text(json.dumps(digests, indent=0) + "\n")
    assert text == kept[0].read_text()
    assert digests == json.loads(kept[1].read_text())
