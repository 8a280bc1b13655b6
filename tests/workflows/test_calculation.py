from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from heterodft.errors import CalculationError
from heterodft.workflows.calculation import read_request, write_request
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import build_chain
from heterodft.workflows.configurations import expand

# Frozen: stored results are found by these names. A change here needs a new schema number and a migration.
DEMO_IDS = {
    "demo/sl/FM/Ti-3d-4eV/static": "84f857a55f18",
    "demo/sl/FM/Ti-3d-4eV/dos": "7d1192d5dd52",
}


@pytest.fixture
def chain(demo_file):
    campaign = load_campaign(demo_file)
    return build_chain(campaign, expand(campaign)[0])


def test_ids_are_frozen(chain):
    assert {request.path: request.id for request in chain} == DEMO_IDS


def test_names_and_origins_are_no_part_of_the_identity(chain):
    renamed = replace(chain[0], about={**chain[0].about, "campaign": "other", "origin": {}})
    assert renamed.id == chain[0].id


@pytest.mark.parametrize(
    "change",
    [
        {"moments": None},
        {"hubbard": ()},
        {"parent": "0" * 12},
        {"pseudopotentials": {"O": "0"}},
        {"step": "dos"},
    ],
)
def test_whatever_decides_the_result_changes_the_identity(chain, change):
    assert replace(chain[0], **change).id != chain[0].id


def test_no_u_and_u_of_zero_are_one_calculation(chain, tmp_path):
    (u,) = chain[0].hubbard
    without, zero = (replace(chain[0], hubbard=found) for found in ((), (replace(u, value=0.0),)))
    assert without.id == zero.id != chain[0].id
    assert replace(chain[0], hubbard=(replace(u, value=0.0, tracked=True),)).id not in (zero.id, chain[0].id)
    write_request(zero, tmp_path)
    assert read_request(tmp_path).id == zero.id


def test_a_request_of_an_older_version_is_whole_but_another(chain, tmp_path):
    """It told U = 0 from none."""
    write_request(replace(chain[0], hubbard=()), tmp_path)
    data = json.loads((tmp_path / "request.json").read_text())
    data["request"]["hubbard"] = [["Ti", "3d", 0.0]]
    text = json.dumps(data["request"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    old = hashlib.sha256(text.encode()).hexdigest()[:12]
    (tmp_path / "request.json").write_text(json.dumps(data | {"id": old}))
    assert read_request(tmp_path).id == replace(chain[0], hubbard=()).id != old


def test_every_setting_but_its_origin_is_part_of_the_identity(chain):
    settings = chain[0].settings
    assert replace(chain[0], settings=replace(settings, mixing=0.123)).id != chain[0].id
    assert replace(chain[0], settings=replace(settings, origin={"mixing": "x"})).id == chain[0].id


def test_a_label_of_a_site_is_part_of_the_identity(chain):
    structure = json.loads(json.dumps(chain[0].structure))
    structure["site_properties"]["layer"][0] = 2
    assert replace(chain[0], structure=structure).id != chain[0].id


def test_a_request_survives_its_file(chain, tmp_path):
    for request in chain:
        write_request(request, tmp_path / request.step)
        back = read_request(tmp_path / request.step)
        assert back == request
        assert back.id == request.id
        assert back.about == request.about


def test_the_structure_comes_back_with_its_labels_in_order(chain):
    structure = chain[0].to_structure()
    assert [site.species_string for site in structure] == ["Sr", "O", "Ti", "O", "O", "La", "O", "Al", "O", "O"]
    assert structure.site_properties["plane"] == [0, 0, 1, 1, 1, 2, 2, 3, 3, 3]


def test_an_altered_request_is_noticed(chain, tmp_path):
    path = write_request(chain[0], tmp_path)
    path.write_text(path.read_text().replace('"mixing":0.4', '"mixing":0.5'))
    with pytest.raises(CalculationError, match="was altered after it was written"):
        read_request(tmp_path)


def test_a_missing_request_says_so(tmp_path):
    with pytest.raises(CalculationError, match=r"no usable request\.json"):
        read_request(tmp_path)
