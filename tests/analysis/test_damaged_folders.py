"""Folders with damaged, odd or wrongly named files, through what `heterodft analyze` calls and the command itself."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import random
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic_vasp import Run, write_run

from heterodft.analysis import FolderOverview, read_folder
from heterodft.errors import ReaderError

sys.path.insert(0, str(Path(__file__).parents[1]))
from synthetic_vasprun import make_run, write_vasprun

MEMORY = 4 << 30
DAMAGES = 60


@pytest.fixture(autouse=True)
def in_time():
    """A reading that hangs fails the test instead of waiting."""
    signal.alarm(300)
    yield
    signal.alarm(0)


def write_texts(folder, spin=2):
    write_run(folder, Run(spin=spin, steps=2))


def write_xml(folder):
    write_vasprun(make_run(atoms=4, kpoints=2, bands=11, grid=12, steps=2, cycle=2), folder / "vasprun.xml")


def write_less(folder):
    write_run(folder, Run(steps=2), "OSZICAR", "CONTCAR", "DOSCAR", "PROCAR")


def damaged(content, numbers):
    """Cut off, with other bytes, without a part, or with zeros in it; and what was done."""
    at, kind = numbers.randrange(len(content)), numbers.randrange(5)
    if kind == 0:
        return content[:at], f"cut at {at}"
    if kind == 1:
        return content[:at] + bytes([numbers.randrange(256)]) + content[at + 1 :], f"byte {at}"
    if kind == 2:
        return content[:at] + bytes([numbers.choice(b"0123456789 -.E*<>\n")]) + content[at + 1 :], f"character {at}"
    length = min(numbers.randrange(1, 2000), len(content) - at)
    return content[:at] + (bytes(length) if kind == 3 else b"") + content[at + length :], f"{length} from {at}"


def told(overview):
    notes = [note for quantity in overview.quantities.values() for note in getattr(quantity, "notes", ())]
    return {*overview.result.notes, *overview.missing.values(), *notes}


def read_or_one_line(folder):
    try:
        overview = FolderOverview.read(folder)
    except ReaderError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return None
    json.dumps(overview.to_dict(), default=str)
    return overview


@pytest.mark.parametrize("write", [write_texts, write_xml, write_less, lambda folder: write_texts(folder, 4)])
def test_each_file_damaged_ends_in_no_traceback(tmp_path, write):
    write(tmp_path)
    whole = FolderOverview.read(tmp_path)
    files, numbers = sorted(tmp_path.iterdir()), random.Random(3)  # noqa: S311
    for number in range(DAMAGES):
        path = files[number % len(files)]
        content = path.read_bytes()
        new, what = damaged(content, numbers)
        path.write_bytes(new)
        found = read_or_one_line(tmp_path)
        if found is not None and not told(found) - told(whole):
            one, other = found.result, whole.result
            assert (one.ended, one.code) == (other.ended, other.code), (path.name, what)
            assert other.converged or not one.converged, (path.name, what)
            assert (one.bands is None, one.dos is None) == (other.bands is None, other.dos is None), (path.name, what)
            assert len(one.structure) == len(other.structure), (path.name, what)
        path.write_bytes(content)


def changed(folder, change, *names):
    for name in names:
        (folder / name).write_bytes(change((folder / name).read_bytes()))


def same(folder, energy, moment=None):
    found = read_folder(folder)
    assert found.energy == energy
    assert moment is None or found.total_moment == moment
    return found


CHANGES = {
    "Windows line ends": lambda data: data.replace(b"\n", b"\r\n"),
    "a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "gzip without its name": gzip.compress,
    "xz without its name": lzma.compress,
    "bzip2 without its name": bz2.compress,
}


@pytest.mark.parametrize("change", CHANGES)
def test_text_of_another_make_is_read_the_same(tmp_path, change):
    write_texts(tmp_path)
    whole = read_folder(tmp_path)
    changed(tmp_path, CHANGES[change], "OUTCAR", "CONTCAR", "OSZICAR", "PROCAR", "DOSCAR")
    found = same(tmp_path, whole.energy, whole.total_moment)
    assert (found.structure, found.notes, found.iterations) == (whole.structure, whole.notes, whole.iterations)


@pytest.mark.parametrize("change", CHANGES)
def test_xml_of_another_make_is_read_the_same(tmp_path, change):
    write_xml(tmp_path)
    whole = read_folder(tmp_path)
    changed(tmp_path, CHANGES[change], "vasprun.xml")
    found = same(tmp_path, whole.energy)
    assert (found.structure, found.notes) == (whole.structure, whole.notes)
    assert (found.dos.values == whole.dos.values).all()


def test_text_in_another_encoding_is_read(tmp_path):
    write_texts(tmp_path)
    whole = read_folder(tmp_path)
    changed(tmp_path, lambda data: b"Gr\xfc\xdfe" + data[data.index(b"\n") :], "CONTCAR")
    (tmp_path / "INCAR").write_bytes(b"SYSTEM = \xfcber\nENCUT = 500\n")
    same(tmp_path, whole.energy, whole.total_moment)


def test_what_is_behind_the_end_of_gzip_is_left_out(tmp_path):
    write_xml(tmp_path)
    energy = read_folder(tmp_path).energy
    data = (tmp_path / "vasprun.xml").read_bytes()
    (tmp_path / "vasprun.xml").unlink()
    for rest in (b"garbage" * 9, bytes(512)):
        (tmp_path / "vasprun.xml.gz").write_bytes(gzip.compress(data) + rest)
        same(tmp_path, energy)
    half = len(data) // 2
    (tmp_path / "vasprun.xml.gz").write_bytes(gzip.compress(data[:half]) + gzip.compress(data[half:]))
    same(tmp_path, energy)


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress), (".bz2", bz2.compress)])
def test_compressed_bytes_that_changed_are_no_other_numbers(tmp_path, suffix, pack):
    write_xml(tmp_path)
    whole = read_folder(tmp_path)
    packed = pack((tmp_path / "vasprun.xml").read_bytes())
    (tmp_path / "vasprun.xml").unlink()
    path, numbers = tmp_path / f"vasprun.xml{suffix}", random.Random(1)  # noqa: S311
    for _ in range(60):
        at = numbers.randrange(len(packed))
        path.write_bytes(packed[:at] + bytes([packed[at] ^ (1 << numbers.randrange(8))]) + packed[at + 1 :])
        try:
            found = read_folder(tmp_path)
        except ReaderError as error:
            assert "vasprun.xml" in str(error)  # noqa: PT017
        else:  # in a field that has nothing to do with what is held
            assert found.energy == whole.energy
            assert (found.dos.values == whole.dos.values).all()


def test_a_plain_file_that_says_it_is_compressed_is_read(tmp_path):
    write_xml(tmp_path)
    energy = read_folder(tmp_path).energy
    (tmp_path / "vasprun.xml").rename(tmp_path / "vasprun.xml.gz")
    same(tmp_path, energy)


def test_of_two_copies_the_empty_one_is_not_taken(tmp_path):
    write_xml(tmp_path)
    energy = read_folder(tmp_path).energy
    data = (tmp_path / "vasprun.xml").read_bytes()
    (tmp_path / "vasprun.xml.xz").write_bytes(lzma.compress(data))
    (tmp_path / "vasprun.xml.gz").write_bytes(b"")
    (tmp_path / "vasprun.xml").write_bytes(b"")
    same(tmp_path, energy)


@pytest.mark.parametrize("name", ["vasprun.xml", "OUTCAR", "vaspout.h5", "OSZICAR", "DOSCAR", "PROCAR", "pw.out"])
def test_an_empty_or_binary_file_is_one_error(tmp_path, name):
    noise = random.Random(5).randbytes(40_000)  # noqa: S311
    for content in (b"", noise, bytes(40_000)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ReaderError) as caught:
            read_folder(tmp_path)
        assert "\n" not in str(caught.value)


def make_pipe(path):
    os.mkfifo(path)


def make_dangling(path):
    path.symlink_to("nowhere")


def make_loop(path):
    path.symlink_to(path.name)


ODD = [Path.mkdir, make_dangling, make_loop, make_pipe]


@pytest.mark.parametrize("make", ODD)
@pytest.mark.parametrize("name", ["vasprun.xml", "OUTCAR", "pw.out", "vaspout.h5"])
def test_what_is_no_file_is_neither_read_nor_waited_for(tmp_path, name, make):
    make(tmp_path / name)
    with pytest.raises(ReaderError, match="holds nothing of VASP"):
        read_folder(tmp_path)


@pytest.mark.parametrize("make", ODD)
def test_what_is_no_file_beside_a_run_changes_nothing(tmp_path, make):
    write_xml(tmp_path)
    whole = FolderOverview.read(tmp_path)
    for name in (
        "OUTCAR",
        "INCAR",
        "POSCAR",
        "CHGCAR",
        "LOCPOT",
        "OSZICAR",
        "pw.out",
        "x.pdos_tot",
        "v.cube",
        "request.json",
    ):
        make(tmp_path / name)
    found = FolderOverview.read(tmp_path)
    assert found.result.energy == whole.result.energy


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read_is_one_error(tmp_path):
    write_xml(tmp_path)
    (tmp_path / "vasprun.xml").chmod(0)
    with pytest.raises(ReaderError, match="Permission denied"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    "request_text", ["{x", "[1]", "", '{"request": null}', '{"request": {"structure": 1}}', "\xff"]
)
def test_a_damaged_request_is_one_error(tmp_path, request_text):
    write_xml(tmp_path)
    (tmp_path / "request.json").write_bytes(request_text.encode("latin-1"))
    with pytest.raises(ReaderError, match=r"request\.json"):
        read_folder(tmp_path)


def test_zero_bytes_in_an_outcar_are_told(tmp_path):
    write_texts(tmp_path)
    changed(tmp_path, lambda data: data[:4400] + bytes(2000) + data[6400:], "OUTCAR")
    assert any("OUTCAR holds zero bytes" in note for note in read_folder(tmp_path).notes)


def limit_memory():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def test_the_command_says_one_thing_of_damaged_folders(tmp_path):
    numbers, writers = random.Random(11), [write_texts, write_xml, write_less]  # noqa: S311
    for number in range(9):
        folder = tmp_path / f"run{number}"
        folder.mkdir()
        writers[number % 3](folder)
        for path in folder.iterdir():
            path.write_bytes(damaged(path.read_bytes(), numbers)[0])
    command = [sys.executable, "-m", "heterodft", "analyze", *map(str, sorted(tmp_path.iterdir())), "--json"]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=200, preexec_fn=limit_memory, cwd=tmp_path
    )
    assert done.returncode in (0, 3)
    assert "Traceback" not in done.stderr
    said = json.loads(done.stdout)
    assert len(said["folders"]) + len(said["unreadable"]) == 9
