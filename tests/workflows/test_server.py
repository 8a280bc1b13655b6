"""The same on the embedded file and over MongoDB's wire protocol.

HETERODFT_TEST_MONGODB gives the address of a real server; without it a stand-in answers that speaks its protocol.
"""

from __future__ import annotations

import os
import uuid
from types import SimpleNamespace

import pymongo
import pytest
from fireworks import FWorker
from fireworks.core.rocket import Rocket
from pymongo.errors import DuplicateKeyError

from heterodft.errors import QueueError, SettingsError
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import build_chain
from heterodft.workflows.configurations import expand
from heterodft.workflows.queue.identity import worker_name
from heterodft.workflows.queue.launchpad import open_launchpad
from heterodft.workflows.queue.reconciliation import reconcile
from heterodft.workflows.queue.submission import submit
from heterodft.workflows.queue.summary import count_states, read_queue
from heterodft.workflows.settings_file import load_settings


@pytest.fixture(params=["file", "server"])
def settings(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    if request.param == "file":
        yield load_settings()
        return
    address = os.environ.get("HETERODFT_TEST_MONGODB") or request.getfixturevalue("wire").address
    name = f"heterodft_test_{uuid.uuid4().hex[:8]}"
    (tmp_path / "my_launchpad.yaml").write_text(f"host: {address}\nname: {name}\nuri_mode: true\n")
    (tmp_path / "heterodft.yaml").write_text("launchpad: {file: my_launchpad.yaml}\n")
    yield load_settings()
    with pymongo.MongoClient(address) as client:
        client.drop_database(name)


@pytest.fixture
def chains(tiny_file):
    campaign = load_campaign(tiny_file)
    return [build_chain(campaign, configuration) for configuration in expand(campaign)]


def test_a_campaign_is_submitted_once_and_runs_to_its_end(settings, chains, monkeypatch):
    ran = []

    def calculate(folder, identity, _settings):
        ran.append(identity)
        return SimpleNamespace(energy=-1.0, converged=True)

    monkeypatch.setattr("heterodft.workflows.queue.firetasks.run_calculation", calculate)
    assert len(submit(chains, settings).queued) == 4
    assert submit(chains, settings).queued == []
    launchpad = open_launchpad(settings)
    fworker = FWorker(worker_name(), env={"heterodft": settings.to_dict(secret=False)})
    while Rocket(launchpad, fworker, None).run():
        pass
    assert sorted(ran) == sorted(request.id for chain in chains for request in chain)
    assert count_states(read_queue(settings)) == {"done": 4}


def test_a_dead_worker_gives_its_calculation_back(settings, chains):
    submit(chains, settings)
    launchpad = open_launchpad(settings)
    launchpad.checkout_fw(FWorker(f"{worker_name().split(':')[0]}:999999:1.00"), ".")
    assert count_states(read_queue(settings)) == {"waiting": 2, "ready": 1, "running": 1}
    assert reconcile(launchpad, settings) == [chains[0][0].path]
    assert count_states(read_queue(settings)) == {"waiting": 2, "ready": 2}


def test_an_identity_is_there_once(settings, chains):
    submit(chains, settings)
    launchpad = open_launchpad(settings)
    with pytest.raises(DuplicateKeyError):
        launchpad.fireworks.insert_one({"fw_id": 99, "spec": {"calculation": chains[0][0].id}})


def launchpad_file(folder, text):
    (folder / "conf").mkdir(exist_ok=True)
    (folder / "conf" / "my_launchpad.yaml").write_text(text)
    (folder / "heterodft.yaml").write_text("launchpad: {file: conf/my_launchpad.yaml}\n")


ACCOUNT = "host: 127.0.0.1\nport: 1\nname: fireworks\nusername: me\npassword: s3cret\nmongoclient_kwargs: {T: 100}\n"
ACCOUNT = ACCOUNT.replace("T", "serverSelectionTimeoutMS")


def test_the_password_of_a_launchpad_file_is_told_nowhere(tmp_path, chains, monkeypatch, heterodft_inside):
    monkeypatch.chdir(tmp_path)
    launchpad_file(tmp_path, ACCOUNT)
    settings = load_settings()
    assert settings.queue_file is None
    assert settings.launchpad_file == tmp_path / "conf" / "my_launchpad.yaml"
    assert "s3cret" not in str(settings.to_dict())
    with pytest.raises(QueueError, match=r"cannot use the queue .*my_launchpad\.yaml.*check launchpad") as caught:
        submit(chains, settings)
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in heterodft_inside("status", code=1).stderr
    assert "s3cret" not in heterodft_inside("lpad", "get_fws", code=1).stderr


@pytest.mark.parametrize(
    "text", ["- a list", "name: x\n", "password: s3cret: [", "uri_mode: true\nhost: mongodb://a\n"]
)
def test_a_launchpad_file_that_cannot_be_used_is_told_by_its_name(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    launchpad_file(tmp_path, text)
    with pytest.raises(SettingsError, match=r"launchpad: file: .*conf/my_launchpad\.yaml.* see lpad init") as caught:
        open_launchpad(load_settings())
    assert "s3cret" not in str(caught.value)


def test_a_host_given_later_wins_over_a_launchpad_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    launchpad_file(tmp_path, ACCOUNT)
    monkeypatch.setenv("HETERODFT_HOST", "sqlite://q.sqlite")
    assert load_settings().launchpad_file is None
    assert load_settings().queue_file == tmp_path / "q.sqlite"
