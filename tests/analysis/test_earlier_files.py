from __future__ import annotations

import pytest

from heterodft.analysis.report.earlier_files import replacing
from heterodft.errors import StorageError
from heterodft.files import make_folder, recorded, write_text


def write(folder, *names):
    with replacing(folder):
        for name in names:
            make_folder((folder / name).parent)
            write_text(folder / name, name)


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_what_an_earlier_report_wrote_and_this_one_does_not_goes(tmp_path):
    write(tmp_path, "a.csv", "b.csv", "cutoff/c.svg")
    write_text(tmp_path / "mine.csv", "the user's own")
    write(tmp_path, "b.csv", "d.csv")
    assert names(tmp_path) == ["b.csv", "d.csv", "files.json", "mine.csv"]


def test_a_report_that_fails_removes_nothing(tmp_path):
    write(tmp_path, "a.csv")
    with pytest.raises(StorageError):
        write(tmp_path, "b.csv", "a.csv/below")
    assert names(tmp_path) == ["a.csv", "b.csv", "files.json"]


def test_a_list_of_somebody_else_harms_nothing(tmp_path):
    (tmp_path / "outside.csv").write_text("kept")
    folder = tmp_path / "report"
    folder.mkdir()
    for text in ("no JSON", "[]", '{"files": ["../outside.csv", "/etc/none", "a/../../outside.csv"]}'):
        (folder / "files.json").write_text(text)
        write(folder, "a.csv")
    assert (tmp_path / "outside.csv").read_text() == "kept"


def test_only_what_is_written_inside_is_recorded(tmp_path):
    write_text(tmp_path / "before", "")
    with recorded() as paths:
        write_text(tmp_path / "inside", "")
    write_text(tmp_path / "after", "")
    assert paths == [tmp_path / "inside"]
