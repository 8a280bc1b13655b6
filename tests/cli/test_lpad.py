from __future__ import annotations

import json


def test_lpad_works_on_our_queue(heterodft_inside, tiny_file):
    heterodft_inside("submit", str(tiny_file))
    assert json.loads(heterodft_inside("lpad", "get_fws", "-s", "READY", "-d", "ids").stdout) == [1, 3]
    heterodft_inside("lpad", "defuse_fws", "-i", "1")
    assert "cancelled" in heterodft_inside("status").stdout
    heterodft_inside("lpad", "reignite_fws", "-i", "1")
    heterodft_inside("lpad", "rerun_fws", "-i", "1")
    newest = heterodft_inside("lpad", "get_fws", "--rsort", "updated_on", "-m", "1", "-d", "less").stdout
    assert json.loads(newest)["fw_id"] == 1
    assert "total : 4" in heterodft_inside("lpad", "report").stdout
    assert sorted(path.name for path in heterodft_inside.folder.iterdir()) == ["runs", "tiny.yaml"]


def test_a_wrong_command_shows_the_usage_of_lpad(heterodft_inside):
    done = heterodft_inside("lpad", "get_fw", code=2)
    assert "usage: lpad" in done.stderr
    assert "get_fws" in done.stderr


def test_what_lpad_refuses_is_one_line(heterodft_inside, tiny_file):
    heterodft_inside("submit", str(tiny_file))
    for words in (["get_fws", "-q", "{'a"], ["rerun_fws", "-i", "77"], ["-l", "other.yaml", "get_fws"]):
        error = heterodft_inside("lpad", *words, code=1).stderr
        assert error.startswith("heterodft: lpad")
        assert error.count("\n") == 1


def test_what_is_not_for_our_queue_says_so(heterodft_inside):
    assert "use heterodft status" in heterodft_inside("lpad", "webgui", code=1).stderr
    assert "launchpad: host:" in heterodft_inside("lpad", "init", code=1).stderr
    assert list(heterodft_inside.folder.iterdir()) == []
