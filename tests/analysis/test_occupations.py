"""Hubbard occupations by site: the numbers, the table, the figure, the line of analyze."""

from __future__ import annotations

import json

import layered_results as layered
import numpy as np
import pytest
from made_results import made_result
from pymatgen.core import Lattice, Structure
from real_espresso import read_nio_crn

from heterodft.analysis import FolderOverview, SiteOccupations
from heterodft.analysis.result import HubbardOccupations
from heterodft.errors import ReaderError

PAIR = Structure(Lattice.cubic(4.2), ["Fe", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
UP, DOWN = np.diag([0.9, 0.9, 0.8, 0.9, 1.0]), np.diag([0.1, 0.2, 0.1, 0.1, 0.9])
IRON = HubbardOccupations(0, "3d", np.stack([UP, DOWN]))
OXYGEN = HubbardOccupations(1, "2p", np.stack([np.eye(3) * 0.9, np.eye(3) * 0.8]))


def test_electrons_moment_and_eigenvalues_are_told_site_by_site():
    found = SiteOccupations.from_result(made_result(PAIR, occupations=(IRON, OXYGEN)))
    iron, oxygen = found.shells
    assert (iron.electrons, iron.moment) == (pytest.approx(5.9), pytest.approx(3.1))
    np.testing.assert_allclose(iron.eigenvalues[1], [0.1, 0.1, 0.1, 0.2, 0.9])
    np.testing.assert_allclose(iron.by_orbital, [np.diag(UP), np.diag(DOWN)])
    assert oxygen.orbitals == ("pz", "px", "py")
    frame = found.to_frame()
    assert frame["element"].tolist() == ["Fe", "O"]
    assert frame["eigenvalue 5 up"].isna().tolist() == [False, True]
    assert frame.attrs["summary"] == "Fe 3d 5.90 electrons, moment 3.10 μB; O 2p 5.10 electrons, moment 0.30 μB"


def test_without_spin_there_is_one_set_of_eigenvalues_and_no_moment():
    found = SiteOccupations.from_result(
        made_result(PAIR, moments=False, occupations=(HubbardOccupations(0, "3d", UP[None]),))
    )
    assert found.shells[0].electrons == pytest.approx(2 * np.trace(UP))
    assert "moment (μB)" not in found.to_frame()
    assert found.summary() == "Fe 3d 9.00 electrons"


def test_a_noncollinear_site_has_twice_as_many_eigenvalues():
    blocks = np.zeros((4, 5, 5), dtype=complex)
    blocks[0] = blocks[3] = np.eye(5) * 0.5
    blocks[1] = blocks[2] = np.eye(5) * 0.4  # a moment along x
    found = SiteOccupations.from_result(made_result(PAIR, occupations=(HubbardOccupations(0, "d", blocks),)))
    (shell,) = found.shells
    np.testing.assert_allclose(shell.eigenvalues, [[0.1] * 5 + [0.9] * 5])
    assert (shell.moment, shell.size) == (pytest.approx(0.0), pytest.approx(4.0))
    assert shell.by_orbital.shape == (2, 5)


def test_a_result_without_occupations_says_what_would_give_them():
    with pytest.raises(ReaderError, match=r"no Hubbard occupations: it has no U, or .* LDAUPRINT = 1"):
        SiteOccupations.from_result(made_result(PAIR))


def test_sites_carry_the_label_of_their_layer():
    sites = [i for i, site in enumerate(layered.STRUCTURE) if site.specie.symbol == "Ti"]
    found = SiteOccupations.from_result(
        made_result(
            layered.STRUCTURE, occupations=tuple(HubbardOccupations(i, "3d", np.stack([UP, DOWN])) for i in sites)
        )
    )
    assert all(":" in shell.group for shell in found.shells)
    by_plane = SiteOccupations.from_result(
        made_result(layered.STRUCTURE, occupations=(HubbardOccupations(sites[0], "3d", np.stack([UP, DOWN])),)),
        by="plane",
    )
    assert "TiO2" in by_plane.to_frame()["plane"][0]


@pytest.mark.parametrize("many", [1, 15])
def test_the_figure_has_a_line_for_each_eigenvalue(many):
    structure = PAIR * (many, 1, 1)
    shells = tuple(HubbardOccupations(i, "3d", IRON.matrices) for i in range(many))
    found = SiteOccupations.from_result(made_result(structure, occupations=shells))
    figure = found.plot()
    lines = figure.axes[0].collections
    assert sum(len(one.get_segments()) for one in lines) == 10 * many
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["up", "down"]


def test_the_data_are_plain(shared_data, tmp_path):
    found = SiteOccupations.from_result(read_nio_crn(shared_data, tmp_path))
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [one["layer"] for one in data["sites"]] == ["NiO:1", "NiO:2", "CrN:1", "CrN:2"]
    assert data["sites"][0]["electrons"] == pytest.approx(8.60005, abs=1e-5)


def test_analyze_shows_them_where_there_are_any(tmp_path):
    result = made_result(PAIR, occupations=(IRON,))
    overview = FolderOverview.from_result(result, folder=tmp_path)
    assert "occupations" in overview.quantities
    names = {path.name for path in overview.save(tmp_path / "out")}
    assert {"occupations.csv", "occupations.pdf"} <= names
    assert "occupations" not in FolderOverview.from_result(made_result(PAIR), folder=tmp_path).quantities


def test_the_text_of_analyze_has_one_line_of_them(tmp_path, capsys):
    from heterodft.cli.analyze_text import print_overview

    print_overview(FolderOverview.from_result(made_result(PAIR, occupations=(IRON,)), folder=tmp_path))
    assert "  Hubbard U: Fe 3d 5.90 electrons, moment 3.10 μB\n" in capsys.readouterr().out
