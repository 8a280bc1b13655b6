"""Folders of others as a series: what may be one, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from finished import make_result
from pymatgen.core import Lattice, Structure

from heterodft.analysis import convergence_folders
from heterodft.analysis.convergence import Convergence
from heterodft.analysis.result import Result
from heterodft.analysis.tolerances import Tolerance
from heterodft.errors import ReaderError

CELL = Structure(Lattice.tetragonal(4.2, 8.4), ["Ni", "O", "Ni", "O"], np.eye(4)[:, :3] / 2)
FM, AFM = [1.7, 0.0, 1.7, 0.0], [1.7, 0.0, -1.7, 0.0]
ENERGY = [Tolerance.read("energy", "1 meV/atom")]


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """Return a function that writes results of nobody's request; that they were read from outputs is made up."""
    monkeypatch.setattr(convergence_folders, "read_folder", Result.load)

    def write(*results):
        folders = [tmp_path / f"run-{i}" for i in range(len(results))]
        for folder, result in zip(folders, results, strict=True):
            folder.mkdir()
            result.save(folder)
        return folders

    return write


def run(cutoff, energy, *, moments=FM, cell=CELL, **method):
    return make_result(cell, energy, ours=False, moments=moments, method={"cutoff": cutoff, **method})


def test_two_orders_at_three_cutoffs_are_two_configurations(saved):
    folders = saved(
        *(run(e, -20.0 - 1 / e) for e in (400.0, 600.0, 500.0)),
        *(run(e, -20.5 - 1 / e, moments=AFM) for e in (400.0, 500.0, 600.0)),
    )
    found = Convergence.read(folders, [*ENERGY, Tolerance.read("order_energy", "1 meV/f.u.")])
    assert found.values == (400.0, 500.0, 600.0)
    assert [one.name for one in found.series] == ["NiO FM", "NiO + -", "NiO + - - FM"]
    assert found.series[2].values == pytest.approx([-0.25] * 3)  # two formula units
    assert found.recommended == 400.0


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"hubbard": {"Ni": 5.0}}, "U on Ni 0 eV against 5 eV"),
        ({"xc": "PBEsol"}, "functional PBE against PBEsol"),
        ({"pseudopotentials": {"Ni": "Ni_pv", "O": "O"}}, "pseudopotential of Ni Ni against Ni_pv"),
    ],
)
def test_what_differs_in_more_than_the_cutoff_is_no_series(saved, other, words):
    folders = saved(run(400.0, -20.0), run(500.0, -20.0, **other))
    with pytest.raises(ReaderError, match=f"run-1 differs from .*run-0 in more than its cutoff: {words}"):
        Convergence.read(folders, ENERGY)


def test_an_equation_of_state_is_no_series(saved):
    larger = CELL.copy()
    larger.scale_lattice(1.1 * CELL.volume)
    with pytest.raises(ReaderError, match="in more than its cutoff: cell"):
        Convergence.read(saved(run(400.0, -20.0), run(500.0, -20.0, cell=larger)), ENERGY)


def test_cells_of_two_sizes_are_two_configurations(saved):
    larger = CELL * (2, 1, 1)
    folders = saved(
        run(400.0, -20.0), run(500.0, -20.1), *(run(e, -40.0, moments=FM * 2, cell=larger) for e in (400.0, 500.0))
    )
    names = {one.name for one in Convergence.read(folders, ENERGY).series}
    assert names == {"NiO (4 atoms) FM", "NiO (8 atoms) FM"}


def test_two_materials_at_two_cutoffs_say_nothing(saved):
    other = CELL.copy()
    other.replace_species({"Ni": "Fe"})
    folders = saved(run(400.0, -20.0), run(500.0, -30.0, cell=other))
    with pytest.raises(ReaderError, match=r"no configuration is there twice \(NiO FM, FeO FM\)"):
        Convergence.read(folders, ENERGY)


@pytest.mark.parametrize("number", [0, 1])
def test_one_folder_is_no_series(saved, number):
    with pytest.raises(ReaderError, match="takes two folders or more"):
        Convergence.read(saved(*[run(400.0, -20.0)] * number), ENERGY)
