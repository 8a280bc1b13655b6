from __future__ import annotations

import json

import pytest

from heterodft.errors import ReaderError, StorageError
from heterodft.files import atomic_writer, make_folder, read_json, write_json, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_text_is_written_as_utf8_and_leaves_no_other_file(tmp_path):
    path = write_text(tmp_path / "a.txt", "3.905 Å, √2\n")
    assert path.read_bytes() == "3.905 Å, √2\n".encode()
    assert names(tmp_path) == ["a.txt"]


def test_a_writer_that_fails_leaves_the_old_file_whole(tmp_path):
    path = write_text(tmp_path / "a.txt", "old")

    def fail():
        with atomic_writer(path) as stream:
            stream.write(b"half of the n")
            assert path.read_text() == "old"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_missing_folder_and_a_full_disk_are_storage_errors_that_name_the_file(tmp_path):
    with pytest.raises(StorageError, match=r"cannot write .*gone/a.txt: No such file or directory; free some space"):
        write_text(tmp_path / "gone" / "a.txt", "new")
    path = write_text(tmp_path / "a.txt", "old")
    with pytest.raises(StorageError, match=r"cannot write .*a.txt: No space left on device"), atomic_writer(path):
        raise OSError(28, "No space left on device")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_folders_are_made_with_their_parents_and_may_exist(tmp_path):
    folder = tmp_path / "a" / "b"
    assert make_folder(folder) == folder
    assert make_folder(folder).is_dir()


def test_a_folder_below_a_file_is_a_storage_error(tmp_path):
    write_text(tmp_path / "file", "")
    with pytest.raises(StorageError, match=r"cannot write .*file/folder: Not a directory; choose another folder"):
        make_folder(tmp_path / "file" / "folder")


def test_json_comes_back_as_it_was_written(tmp_path):
    data = {"energy": -0.1 - 0.2, "label": "V_O@SrTiO3:1 √", "none": None, "list": [1, 2.5]}
    path = write_json(tmp_path / "a.json", data)
    assert read_json(path) == data
    assert "√" in path.read_text(encoding="utf-8")


def test_not_a_number_is_refused_and_the_old_file_kept(tmp_path):
    path = write_json(tmp_path / "a.json", {"energy": 1.0})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"energy": float("nan")})
    assert json.loads(path.read_text()) == {"energy": 1.0}


@pytest.mark.parametrize("text", ['{"energy": 1', "", "\udcff"])
def test_a_file_that_is_cut_off_or_no_text_is_a_reader_error_with_its_path(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ReaderError, match=r"cannot read .*a.json: "):
        read_json(path)


def test_a_missing_file_and_a_list_are_reader_errors(tmp_path):
    with pytest.raises(ReaderError, match=r"cannot read .*a.json: .*No such file"):
        read_json(tmp_path / "a.json")
    with pytest.raises(ReaderError, match=r"a.json: expected a JSON object"):
        read_json(write_json(tmp_path / "a.json", [1, 2]))
