"""Hubbard occupations of pw.x: from the XML file, ``occup.txt`` and what it prints."""

from __future__ import annotations

import re

import numpy as np
import pytest
from lxml import etree
from real_espresso import SUPERLATTICE, qe_folder

from heterodft.analysis.readers import read_folder
from heterodft.analysis.readers.espresso.hubbard import printed_occupations, xml_occupations
from heterodft.analysis.readers.espresso.printout import read_printout
from heterodft.analysis.readers.opening import read_text
from heterodft.analysis.result import HubbardOccupations
from heterodft.errors import ReaderError


def hermitian(size, seed=0, *, spinor=False):
    """A matrix with eigenvalues of 0 to 1."""
    rng = np.random.default_rng(seed)
    start = rng.normal(size=(size, size)) + (1j * rng.normal(size=(size, size)) if spinor else 0)
    axes = np.linalg.qr(start)[0]
    return axes @ np.diag(rng.random(size)) @ axes.conj().T


def entry(kind, shell, index, matrix, spin=1, *, tag="Hubbard_ns"):
    size = len(matrix)
    numbers = " ".join(f"{value:.15e}" for value in matrix.T.ravel())
    spins = "" if spin is None else f'spin="{spin}"'
    return (
        f'<{tag} specie="{kind}" label="{shell}" {spins} index="{index}" rank="2" dims="{size} {size}" order="F">'
        f"{numbers}</{tag}>"
    )


def output(kinds, entries, *, lsda=True):
    atoms = "".join(f'<atom name="{kind}" index="{i}">0 0 {i}</atom>' for i, kind in enumerate(kinds, 1))
    return etree.fromstring(
        f"<output><atomic_structure><atomic_positions>{atoms}</atomic_positions></atomic_structure><dft><dftU>"
        f"{''.join(entries)}</dftU></dft><magnetization><lsda>{str(lsda).lower()}</lsda></magnetization></output>"
    )


def test_before_7_2_the_index_counts_spins_and_later_atoms(tmp_path):
    matrices = [hermitian(5, seed) for seed in range(4)]
    kinds = ["O", "Ti1", "O", "Ti2"]
    old = output(
        kinds, [entry(kinds[s], "3d", 2 * s + p + 1, matrices[s - 1 + p], p + 1) for s in (1, 3) for p in (0, 1)]
    )
    new = output(kinds, [entry(kinds[s], "3d", s + 1, matrices[s - 1 + p], p + 1) for s in (1, 3) for p in (0, 1)])
    for found in (xml_occupations(old, tmp_path / "x"), xml_occupations(new, tmp_path / "x")):
        assert [(one.site, one.shell) for one in found] == [(1, "3d"), (3, "3d")]
        np.testing.assert_allclose(found[1].matrices, matrices[2:], atol=1e-12)


@pytest.mark.parametrize("spin", [None, 1])
def test_without_spin_there_is_one_matrix_and_its_electrons_count_twice(tmp_path, spin):
    matrix = hermitian(5)
    kinds = ["Ti", "O", "Ti"]
    (first, last) = xml_occupations(
        output(kinds, [entry("Ti", "3d", i, matrix, spin) for i in (1, 3)], lsda=False), tmp_path / "x"
    )
    assert (first.site, last.site, first.moment) == (0, 2, 0.0)
    assert last.electrons == pytest.approx(2 * np.trace(matrix))


def test_a_smaller_shell_is_cut_out_of_the_matrix_of_the_largest(tmp_path):
    padded = np.zeros((7, 7))
    padded[:3, :3] = hermitian(3)
    kinds = ["Ce", "O"]
    node = output(
        kinds,
        [
            *(entry("Ce", "4f", 1, hermitian(7, s), s) for s in (1, 2)),
            *(entry("O", "2p", 2, padded, s) for s in (1, 2)),
        ],
    )
    cerium, oxygen = xml_occupations(node, tmp_path / "x")
    assert (cerium.matrices.shape, oxygen.matrices.shape) == ((2, 7, 7), (2, 3, 3))
    np.testing.assert_allclose(oxygen.matrices[1], padded[:3, :3], atol=1e-12)


def test_a_run_without_u_has_none(tmp_path):
    assert xml_occupations(etree.fromstring("<output><dft/></output>"), tmp_path / "x") == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace('specie="Ti2"', 'specie="O"'), "which is no O"),
        (lambda t: t.replace('dims="5 5"', 'dims="5 6"', 1), "25 of 30 numbers"),
        (lambda t: re.sub(r"e[-+]\d+<", "e+03<", t, count=1), "occupation matrix|occupations of atom"),
        (lambda t: t.replace('spin="2"', 'spin="1"', 1), "not one of each spin"),
        (lambda t: re.sub(r"<Hubbard_ns .*?</Hubbard_ns>", "", t, count=1), "3 occupation matrices of 2 spins"),
        (lambda t: t.replace("e-0", "x-0", 1), "convert"),
    ],
)
def test_damaged_matrices_are_refused(tmp_path, change, message):
    kinds = ["Ti1", "Ti2"]
    node = output(
        kinds, [entry(kinds[s], "3d", 2 * s + p + 1, hermitian(5, s), p + 1) for s in (0, 1) for p in (0, 1)]
    )
    text = change(etree.tostring(node).decode())
    with pytest.raises(ValueError, match=message):
        xml_occupations(etree.fromstring(text), tmp_path / "x")


def spinor_run(tmp_path, tag, *, missing=False, other=False):
    """Site 1 of two with a d shell: absolute values in the XML, the whole in occup.txt."""
    whole = hermitian(10, 4, spinor=True)
    blocks = [whole[:5, :5], whole[:5, 5:], whole[5:, :5], whole[5:, 5:]]
    held = np.zeros((2, 4, 5, 5), dtype=complex)
    held[1] = [block.T for block in blocks]  # as Fortran writes them
    if not missing:
        shift = 0.1 if other else 0.0
        (tmp_path / "occup.txt").write_text(" ".join(f"({v.real + shift:.16e},{v.imag:.16e})" for v in held.ravel()))
    return whole, output(["N", "Cr"], [entry("Cr", "3d", 2, np.abs(whole), tag=tag)], lsda=False)


@pytest.mark.parametrize("tag", ["Hubbard_ns_mod", "Hubbard_ns_nc"])
def test_those_of_a_noncollinear_run_are_whole_in_occup_txt(tmp_path, tag):
    whole, node = spinor_run(tmp_path, tag)
    (found,) = xml_occupations(node, tmp_path / "data-file-schema.xml")
    assert (found.site, found.matrices.shape) == (1, (4, 5, 5))
    np.testing.assert_allclose(found.eigenvalues[0], np.linalg.eigvalsh(whole), atol=1e-10)
    up_down = whole[:5, 5:]
    size = np.hypot(2 * abs(np.trace(up_down)), np.trace(whole[:5, :5] - whole[5:, 5:]).real)
    assert found.size == pytest.approx(size)
    assert found.electrons == pytest.approx(np.trace(whole).real)


@pytest.mark.parametrize(
    ("how", "message"), [({"missing": True}, "need occup.txt beside"), ({"other": True}, "files of two runs")]
)
def test_without_their_occup_txt_there_are_none(tmp_path, how, message):
    _, node = spinor_run(tmp_path, "Hubbard_ns_mod", **how)
    with pytest.raises(ValueError, match=message):
        xml_occupations(node, tmp_path / "data-file-schema.xml")


def rows(matrix, indent):
    return "".join(indent + "".join(f"{value:7.3f}" for value in row) + "\n" for row in matrix)


def printed(version, matrices, *, site=0, background=False):
    """One site as pw.x prints it: by 6.7 and before, by 6.8, and from 7.0 on."""
    traces = [np.trace(matrix) for matrix in matrices]
    spin = len(matrices) == 2
    told = f"{traces[0]:9.5f}{traces[1]:9.5f}{sum(traces):9.5f}" if spin else f"{2 * traces[0]:9.5f}"
    which = " (up, down, total) =" if spin else " ="
    if version == "6.7":
        text = f"atom {site + 1:4d}   Tr[ns(na)]{which}{told}\n"
        for s, matrix in enumerate(matrices, 1):
            text += (f"   spin {s:2d}\n" if spin else "") + "    eigenvalues: \n" + rows([np.diag(matrix)], "")
            text += "    eigenvectors:\n" + rows(matrix, "") + "    occupations:\n" + rows(matrix, "")
        return text + ("atomic mag. moment =   0.10000\n" if spin else "")
    name = "Tr[ns]" if version == "6.8" else f"Tr[ns({site + 1:3d})]"
    text = f"     {'-' * 24} ATOM {site + 1:4d} {'-' * 24}\n     {name}{which}{told}\n"
    for s, matrix in enumerate(matrices, 1):
        text += (f"     SPIN {s:2d}\n" if spin else "") + "     eigenvalues:\n" + rows([np.diag(matrix)], " " * 5)
        text += "     eigenvectors (columns):\n" + rows(matrix, " " * 5)
        text += "     occupation matrix ns (before diag.):\n" + rows(matrix, " " * 5)
    if background:
        text += (
            "      Background part \n" + printed(version, [np.eye(3)] * len(matrices), site=site).split("\n", 1)[1]
        )
    return text


HEADS = {
    "6.7": " --- enter write_ns ---\n",
    **dict.fromkeys(("6.8", "7.1"), f"\n     {'=' * 19} HUBBARD OCCUPATIONS ===\n"),
}


@pytest.mark.parametrize("version", ["6.7", "6.8", "7.1"])
@pytest.mark.parametrize("spins", [1, 2])
def test_the_last_block_that_was_printed_is_read(version, spins):
    first = [np.eye(5) * 0.2] * spins
    last = [hermitian(5, seed) for seed in range(spins)]
    text = HEADS[version] + printed(version, first, site=2) + HEADS[version] + printed(version, last, site=2)
    text += printed(version, [hermitian(3)] * spins, site=4, background=version == "7.1")
    found = printed_occupations(text + "\n Number of occupied Hubbard levels =  1.0\n")
    assert [(one.site, one.shell) for one in found] == [(2, "d"), (4, "p")]
    np.testing.assert_allclose(found[0].matrices, last, atol=0.0006)


def test_what_was_printed_in_part_or_does_not_fit_its_trace_is_refused():
    text = HEADS["6.7"] + printed("6.7", [hermitian(5, seed) for seed in range(2)])
    with pytest.raises(ValueError, match="atom 1 is cut off"):
        printed_occupations(text[: text.rindex("occupations:") + 60])
    first = text.index("occupations:")
    digit = next(i for i in range(first + 12, len(text)) if text[i].isdigit() and text[i - 1] == ".")
    changed = text[:digit] + str((int(text[digit]) + 4) % 10) + text[digit + 1 :]
    with pytest.raises(ValueError, match="does not fit its trace"):
        printed_occupations(changed)


def test_what_a_cycle_starts_from_is_not_read_as_what_it_reached():
    text = "     Self-consistent Calculation\n" + HEADS["6.7"] + printed("6.7", [hermitian(5)] * 2)
    assert printed_occupations(text)
    assert read_printout(text).occupations == ()
    assert read_printout(text + "     End of self-consistent calculation\n").occupations


# Real runs


@pytest.fixture
def superlattice(shared_data, tmp_path):
    return qe_folder(shared_data / "qe" / "nio_crn_superlattice_v67", tmp_path / "run", files=SUPERLATTICE)


def test_real_xml_and_real_output_tell_the_same(superlattice):
    found = read_folder(superlattice)
    assert [(one.site, one.shell) for one in found.occupations] == [(0, "3d"), (2, "3d"), (4, "3d"), (6, "3d")]
    assert not any("Hubbard" in note for note in found.notes)
    text = read_text(superlattice / "pw.out")
    told = re.findall(r"Tr\[ns\(na\)\] \(up, down, total\) = +(\S+) +(\S+)", text)[-4:]
    for one, traces in zip(found.occupations, told, strict=True):
        np.testing.assert_allclose(
            np.trace(one.matrices, axis1=1, axis2=2), [float(word) for word in traces], atol=6e-6
        )
    for one, printed_one in zip(found.occupations, printed_occupations(text), strict=True):
        np.testing.assert_allclose(one.matrices, printed_one.matrices, atol=6e-4)
    moments = [found.sites["sphere"].moments[one.site] for one in found.occupations]
    np.testing.assert_allclose([one.moment for one in found.occupations], moments, atol=0.25)


def test_those_printed_stand_in_for_a_damaged_xml_file(superlattice):
    path = superlattice / "x.save" / "data-file-schema.xml"
    text = path.read_text()
    path.write_text(text.replace('specie="Cr2" label="3d" spin="2" index="14"', 'specie="Cr2" label="3d" spin="2"'))
    found = read_folder(superlattice)
    assert [one.shell for one in found.occupations] == ["d"] * 4
    assert "the Hubbard occupations are those printed, to three decimals" in found.notes
    with pytest.raises(ReaderError, match="Hubbard occupations cannot be read"):
        read_folder(superlattice, strict=True)
    (superlattice / "pw.out").unlink()
    found = read_folder(superlattice)
    assert found.occupations == ()
    assert any(note.startswith("the Hubbard occupations were left out: ") for note in found.notes)


def test_a_real_run_of_7_2_without_spin(shared_data):
    found = read_folder(shared_data / "qe" / "pw_hubbard_v72")
    (one,) = found.occupations
    assert (one.site, one.shell, one.moment) == (0, "3d", 0.0)
    assert one.electrons == pytest.approx(7.31112, abs=6e-6)
    np.testing.assert_allclose(one.eigenvalues, [[0.339, 0.339, 0.992, 0.993, 0.993]], atol=6e-4)


def test_a_real_run_of_6_5_without_an_xml_file(shared_data):
    found = read_folder(shared_data / "qe" / "pw_nio_afm_u_v65")
    assert [(one.site, one.shell) for one in found.occupations] == [(0, "d"), (1, "d")]
    assert [one.electrons for one in found.occupations] == pytest.approx([8.41164, 8.41168], abs=0.006)


def test_occupations_survive_saving(tmp_path, superlattice):
    from dataclasses import replace

    found = read_folder(superlattice)
    spinor = HubbardOccupations(1, "3d", np.stack([hermitian(5, 1, spinor=True)] * 4))
    replace(found, occupations=(*found.occupations, spinor)).save(tmp_path)
    again = type(found).load(tmp_path).occupations
    for one, other in zip((*found.occupations, spinor), again, strict=True):
        assert (one.site, one.shell, one.matrices.dtype) == (other.site, other.shell, other.matrices.dtype)
        np.testing.assert_array_equal(one.matrices, other.matrices)
