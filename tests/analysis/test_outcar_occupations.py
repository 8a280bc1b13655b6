"""The onsite density matrices of OUTCAR."""

from __future__ import annotations

import gzip
import re

import numpy as np
import pytest
from synthetic_vasp import Run, outcar, write_run

from heterodft.analysis.readers import read_folder
from heterodft.analysis.readers.vasp.outcar import read_outcar
from heterodft.analysis.result import ORBITALS

VASPS = {
    "p": ("py", "pz", "px"),
    "d": ("dxy", "dyz", "dz2", "dxz", "dx2-y2"),
    "f": ("fy(3x2-y2)", "fxyz", "fyz2", "fz3", "fxz2", "fz(x2-y2)", "fx(x2-3y2)"),
}


def matrix(size, seed, *, spinor=False):
    """Hermitian with eigenvalues of 0 to 1, to the four decimals of a file."""
    rng = np.random.default_rng(seed)
    start = rng.normal(size=(size, size)) + (1j * rng.normal(size=(size, size)) if spinor else 0)
    axes = np.linalg.qr(start)[0]
    return np.round(axes @ np.diag(rng.random(size)) @ axes.conj().T, 4)


def block(atom, components, *, kind=1, levels=None):
    """One site as VASP prints it, orbitals in its order."""
    size = len(components[0])
    text = f"atom = {atom:3d}  type = {kind:2d}  l = {size // 2}\n \n onsite density matrix\n"
    for number, values in enumerate(components, 1):
        text += f" \nspin component {number:2d}\n \n"
        for row in values:
            text += "".join(f"{x.real:8.4f}" for x in row)
            text += "    " + "".join(f"{x.imag:8.4f}" for x in row) if np.iscomplexobj(values) else ""
            text += "\n"
    text += " \n occupancies and eigenvectors\n \n"
    found = np.concatenate([np.linalg.eigvalsh(one) for one in components]) if levels is None else levels
    return text + "".join(f"  o ={o:8.4f}  v =  0.0000  1.0000\n" for o in np.sort(found)) + "\n"


def read(tmp_path, filler, **run):
    path = tmp_path / "OUTCAR"
    path.write_text(outcar(Run(**run), filler=filler))
    return read_outcar(path)


@pytest.mark.parametrize("shell", VASPS)
def test_matrices_are_read_in_our_order_of_orbitals(tmp_path, shell):
    names = VASPS[shell]
    matrices = [matrix(len(names), seed) for seed in (0, 1)]
    found = read(tmp_path, block(1, matrices) + block(2, matrices[::-1]))
    first, second = found.occupations
    assert (first.site, first.shell, second.site) == (0, shell, 1)
    ours = [name for name in ORBITALS if name[0] == shell]
    for i, one in enumerate(ours):
        for j, other in enumerate(ours):
            assert first.matrices[0, i, j] == matrices[0][names.index(one), names.index(other)]
    assert first.moment == pytest.approx(-second.moment)
    assert first.electrons == pytest.approx(sum(np.trace(one) for one in matrices))


def test_those_of_the_last_electronic_step_of_the_step_that_is_read_count(tmp_path):
    text = outcar(Run(steps=2), filler="@\n")
    parts = text.split("@\n")
    assert len(parts) == 7
    blocks = [block(1, [matrix(5, 2 * n), matrix(5, 2 * n + 1)]) for n in range(6)]
    path = tmp_path / "OUTCAR"
    path.write_text("".join(part + extra for part, extra in zip(parts, [*blocks, ""], strict=True)))
    last, before = read_outcar(path).occupations[0], read_outcar(path, step=1).occupations[0]
    assert np.linalg.eigvalsh(matrix(5, 10)) == pytest.approx(last.eigenvalues[0])
    assert np.linalg.eigvalsh(matrix(5, 4)) == pytest.approx(before.eigenvalues[0])


def test_a_noncollinear_site_has_the_eigenvalues_of_its_whole_matrix(tmp_path):
    whole = matrix(10, 5, spinor=True)
    levels = np.linalg.eigvalsh(whole)
    blocks = [whole[:5, :5], whole[5:, :5], whole[:5, 5:], whole[5:, 5:]]
    found = read(tmp_path, block(1, blocks, levels=levels), spin=4)
    (one,) = found.occupations
    np.testing.assert_allclose(one.eigenvalues[0], levels, atol=1e-9)
    assert one.electrons == pytest.approx(np.trace(whole).real)


def test_a_run_without_spin_prints_the_same_twice(tmp_path):
    (one,) = read(tmp_path, block(1, [matrix(5, 0)] * 2), spin=1).occupations
    assert (len(one.matrices), one.moment) == (1, 0.0)
    assert one.electrons == pytest.approx(2 * np.trace(matrix(5, 0)))


def test_an_s_shell_with_u_of_zero_is_another_way_to_say_none(tmp_path):
    s = [np.array([[0.4]]), np.array([[0.3]])]
    d = [matrix(5, 0), matrix(5, 1)]
    found = read(tmp_path, block(1, d) + block(3, s, kind=2))
    assert [(one.site, one.shell) for one in found.occupations] == [(0, "d")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("occupancies and eigenvectors", ""), "atom 1 is cut off"),
        (lambda t: t.replace("spin component  2", ""), "1 spin components|no matrix"),
        (lambda t: t.replace("atom =   1", "atom = ***"), r"one is of atom \*\*\*"),
        (lambda t: t.replace("atom =   1", "atom =   9"), "one is of atom 9"),
        (lambda t: t.replace("atom =   1  type", "type"), "does not tell its atom"),
        (lambda t: t.replace("  l = 2", "  l = 1"), "no matrix of 3 x 3|is cut off"),
        (lambda t: t.replace(f"{matrix(5, 0)[0, 0]:8.4f}", "********"), "no number"),
        (lambda t: t.replace(f"{matrix(5, 0)[0, 0]:8.4f}", f"{matrix(5, 0)[0, 0] + 0.05:8.4f}"), "occupancies"),
        (lambda t: t.replace(f"{matrix(5, 0)[0, 0]:8.4f}", " 10.1234"), "not 0 to 1"),
        (lambda t: t.replace(f"{matrix(5, 0)[0, 1]:8.4f}", "  0.9999", 1), "not Hermitian"),
    ],
)
def test_damaged_blocks_are_told_and_left_out(tmp_path, change, message):
    found = read(tmp_path, change(block(1, [matrix(5, 0), matrix(5, 1)])))
    assert found.occupations == ()
    (note,) = [note for note in found.notes if "onsite density" in note]
    assert re.search(message, note), note


def test_numbers_that_run_together_are_told_apart(tmp_path):
    """Wide negative numbers leave no blank; these are of a real run that diverged."""
    wide = np.array([[10.1234, -13.5000], [-13.5000, 17.0]])
    values = np.zeros((5, 5))
    values[:2, :2] = wide
    found = read(tmp_path, block(1, [values, matrix(5, 1)]))
    assert found.occupations == ()
    assert any("not 0 to 1" in note for note in found.notes)


def test_a_folder_gives_them_in_the_builders_order(tmp_path):
    write_run(tmp_path, Run(), "OUTCAR", "CONTCAR")
    text = outcar(Run(), filler=block(1, [matrix(5, 0), matrix(5, 1)]) + block(2, [matrix(5, 2), matrix(5, 3)]))
    (tmp_path / "OUTCAR").write_text(text)
    (tmp_path / "site_order.json").write_text('{"order": [2, 0, 3, 1]}')
    found = read_folder(tmp_path)
    assert [one.site for one in found.occupations] == [0, 2]
    assert [found.structure[one.site].specie.symbol for one in found.occupations] == ["Ni", "Ni"]
    assert np.trace(matrix(5, 2)) == pytest.approx(np.trace(found.occupations[0].matrices[0]))


def test_the_moment_of_a_real_run_is_that_in_the_sphere(shared_data, tmp_path):
    found = read_folder(shared_data / "vasp" / "nio_pbeu_v641")
    (one,) = found.occupations
    assert (one.site, one.shell) == (0, "d")
    assert one.moment == pytest.approx(found.sites["sphere"].shell_moments[0, 2], abs=0.002)
    assert one.electrons == pytest.approx(found.sites["sphere"].shell_charges[0, 2], abs=0.05)


def test_a_real_noncollinear_run(shared_data, tmp_path):
    path = tmp_path / "OUTCAR"
    path.write_bytes(gzip.decompress((shared_data / "vasp" / "nio_soc_outcar" / "OUTCAR.gz").read_bytes()))
    found = read_outcar(path)
    assert [one.site for one in found.occupations] == [0, 1]
    moments = [table.values[:2, 2] for table in found.moments]
    assert [one.moment for one in found.occupations] == pytest.approx(moments[2], abs=0.01)
    assert [one.size for one in found.occupations] == pytest.approx(np.abs(moments[2]), abs=0.01)
