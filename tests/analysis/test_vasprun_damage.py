"""A vasprun.xml that was cut off or in which bytes changed: what is there, what is missing, or one clear error."""

from __future__ import annotations

import gzip
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from lxml import etree

from heterodft.analysis.readers.vasp.vasprun import Vasprun
from heterodft.errors import ReaderError

sys.path.insert(0, str(Path(__file__).parents[1]))
from synthetic_vasprun import make_run, write_vasprun

FLIPS = 800


def check_error(error):
    """One line that names the file."""
    assert "\n" not in str(error)
    assert "vasprun.xml" in str(error)


def everything(path):
    """All that can be asked for, by name; ReaderErrors take the place of values."""
    found = {}

    def ask(name, get):
        try:
            found[name] = get()
        except ReaderError as error:
            found[name] = error
            check_error(error)

    run = Vasprun.open(path)
    for name in ("version", "incar", "parameters", "elements", "pseudopotentials", "kpoints", "weights", "mesh",
                 "valences", "fermi_level"):  # fmt: skip
        ask(name, lambda name=name: getattr(run, name))
    for name in ("initial_structure", "final_structure", "eigenvalues", "projections"):
        ask(name, getattr(run, name))
    ask("all of dos", run.dos)
    dos = found.pop("all of dos")
    found["dos"] = dos if missing(dos) else (dos.energies, dos.total, dos.integrated)
    found["partial"] = dos if missing(dos) else dos.partial is not None and (dos.partial, dos.columns)
    ask(
        "steps",
        lambda: [(s.free_energies, s.energies_zero, s.forces, s.stress, s.block_energy) for s in run.ionic_steps],
    )
    return run, found


def same(a, b):
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.array_equal(a, b, equal_nan=True)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and a == b


def missing(value):
    return value is None or value is False or isinstance(value, ReaderError)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    run = make_run(atoms=2, kpoints=2, bands=11, grid=12, steps=2, cycle=2)
    return write_vasprun(run, tmp_path_factory.mktemp("whole") / "vasprun.xml")


def check_cut(path, truth):
    """Whether what is left of a file is told as it was: a value is that of the whole file, or missing."""
    try:
        run, found = everything(path)
    except ReaderError as error:
        check_error(error)
        return
    assert not run.complete
    assert "the file is cut off" in run.notes[0]
    for name, value in found.items():
        if name == "steps":
            check_steps(value, truth[name], run)
        elif name == "final_structure":
            assert missing(value) or same(value, truth[name]) or any("no final structure" in n for n in run.notes)
        elif name in ("incar", "mesh"):
            assert missing(value) or same(value, truth[name]) or not value
        else:
            assert missing(value) or (name == "version" and not value) or same(value, truth[name]), name


def check_steps(steps, expected, run):
    if missing(steps):
        return
    for i, (step, whole) in enumerate(zip(steps, expected, strict=False)):
        energies = step[0]
        assert np.array_equal(energies, whole[0][: len(energies)])
        for mine, theirs in zip(step[2:], whole[2:], strict=True):
            assert missing(mine) or not len(mine) or same(mine, theirs)
        assert same(step, whole) or not run.ionic_steps[i].complete


@pytest.mark.parametrize("name", ["nio_pbeu_v641", "ti_lorbit10_v660", "o2_ncl_soc", "fe2o3_pbeu"])
def test_real_files_cut_at_every_hundredth_are_told_as_far_as_they_go(shared_data, tmp_path, name):
    content = gzip.decompress((shared_data / "vasp" / name / "vasprun.xml.gz").read_bytes())
    path = tmp_path / "vasprun.xml"
    path.write_bytes(content)
    _, truth = everything(path)
    for part in range(1, 100):
        path.write_bytes(content[: len(content) * part // 100])
        check_cut(path, truth)


def test_a_file_cut_at_any_byte_is_told_as_far_as_it_goes(whole, tmp_path):
    content = whole.read_bytes()
    _, truth = everything(whole)
    path = tmp_path / "vasprun.xml"
    marks = (b"<modeling>", b"<calculation>", b"<scstep>", b"<eigenvalues>", b"<dos>", b"<partial>", b"</partial>",
             b"<projected>", b"</projected>", b"</calculation>", b'name="finalpos"')  # fmt: skip
    cuts = set(range(0, len(content), 211)) | {len(content) - i for i in range(2, 40)}
    for mark in marks:
        cuts |= {content.index(mark) + i for i in range(-8, 30)}
    for cut in sorted(cuts):
        path.write_bytes(content[: max(cut, 0)])
        check_cut(path, truth)


def test_compressed_files_that_are_cut_off_are_told(shared_data, tmp_path):
    packed = (shared_data / "vasp" / "nio_pbeu_v641" / "vasprun.xml.gz").read_bytes()
    path = tmp_path / "vasprun.xml.gz"
    path.write_bytes(packed[: len(packed) // 2])
    run = Vasprun.open(path)
    assert not run.complete
    assert run.elements == ("Ni", "O")


def looks_whole(content, before):
    """Whether a strict reader would see nothing wrong: the same tags, as many words, all of them numbers."""
    content = re.sub(rb"(?<=SYSTEM\">).*?(?=</i>)", b"free text", content)
    try:
        old, new = (list(etree.fromstring(text).iter()) for text in (before, content))
    except etree.XMLSyntaxError:
        return False
    if [(e.tag, dict(e.attrib)) for e in old] != [(e.tag, dict(e.attrib)) for e in new]:
        return len(old) == len(new)  # a name of a setting became another: no reader knows all of them
    for a, b in zip(old, new, strict=True):
        words, others = (a.text or "").split(), (b.text or "").split()
        if words != others and a.tag in ("r", "v"):
            plain = re.compile(r"[+-]?\d*\.\d+" if "." in words[0] else r"[+-]?\d+")
            return len(words) == len(others) and all(plain.fullmatch(word) for word in others)
    return True


def test_bytes_that_changed_are_told_or_make_another_number(whole, tmp_path, record_property):
    content = whole.read_bytes()
    _, truth = everything(whole)
    path = tmp_path / "vasprun.xml"
    random = np.random.default_rng(7)
    outcomes = {"refused": 0, "told": 0, "harmless": 0, "another number": 0}
    for _ in range(FLIPS):
        damaged = bytearray(content)
        at = int(random.integers(len(content)))
        damaged[at] ^= int(random.integers(1, 256))
        path.write_bytes(damaged)
        try:
            run, found = everything(path)
        except ReaderError as error:
            check_error(error)
            outcomes["refused"] += 1
            continue
        differ = [name for name, value in found.items() if not same(value, truth[name])]
        silent = [name for name in differ if not missing(found[name])]
        if not differ:
            outcomes["harmless"] += 1
        elif run.notes or any(isinstance(found[name], ReaderError) for name in differ):
            outcomes["told"] += 1
        else:
            shown = (content[at - 30 : at + 30], bytes(damaged[at - 30 : at + 30]))
            assert silent, shown  # nothing is missing without a word
            assert looks_whole(bytes(damaged), content), shown
            outcomes["another number"] += 1
    record_property("outcomes", outcomes)
    print(outcomes)  # noqa: T201, shown with -s
    assert sum(outcomes.values()) == FLIPS
    assert outcomes["told"] + outcomes["refused"] > FLIPS / 2


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("<dos>", "<dps>", "damaged"),
        ("</partial>", "</partiaL>", "the density of states is damaged"),
        ("<c>     12.00000000</c>", "<c>     12.000000x0</c>", "the valence electrons of the species are damaged"),
        ('comment="ion 2"', 'comment="ion 3"', "the densities of states of the sites are damaged"),
        ('comment="band 7"', 'comment="band 9"', "the projections of the bands are damaged"),
        ('comment="kpoint 2"', 'comment="kpoint 1"', "the eigenvalues are damaged"),
        ('<i type="int" name="NEDOS">    12', '<i type="int" name="NEDOS">    13', "12 energies, NEDOS is 13"),
        ('<i type="int" name="NBANDS">    11', '<i type="int" name="NBANDS">    19', "11 bands (NBANDS) where 19"),
        ('<i type="int" name="NELM">    60', '<i type="int" name="NELM">    6x', "NELM in <parameters> is '6x'"),
    ],
)
def test_what_does_not_fit_is_told(whole, tmp_path, old, new, told):
    text = whole.read_text()
    assert old in text
    (tmp_path / "vasprun.xml").write_text(text.replace(old, new, 1))
    run, _ = everything(tmp_path / "vasprun.xml")
    assert any(told in note for note in run.notes), run.notes


def test_energies_that_do_not_rise_are_told(whole, tmp_path):
    text = whole.read_text()
    block = text.index("<dos>")
    energies = [line for line in text[block:].splitlines() if "<r>" in line][:3]
    first, second = (line.split("<r>")[1][:11] for line in energies[:2])
    (tmp_path / "vasprun.xml").write_text(text[:block] + text[block:].replace(second, first.replace("-6", "-5", 1)))
    run = Vasprun.open(tmp_path / "vasprun.xml")
    assert run.dos() is None or any("evenly" in note for note in run.notes)
    assert run.notes


@pytest.mark.parametrize("tag", ["<atominfo>", "</parameters>", "<calculation>", "</structure>"])
def test_a_damaged_frame_is_one_clear_error(whole, tmp_path, tag):
    (tmp_path / "vasprun.xml").write_text(whole.read_text().replace(tag, tag.replace("a", "A").replace("r", "R"), 1))
    _, found = everything(tmp_path / "vasprun.xml")
    assert "is damaged at byte" in str(found["final_structure"])
