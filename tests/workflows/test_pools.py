"""Pools of ranks for the k-points: never more than there are, and no more than fit."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterodft.analysis.result import Result
from heterodft.workflows import pools
from heterodft.workflows.pools import choose_pools


@pytest.fixture
def sixteen_gigabytes(monkeypatch):
    memory = SimpleNamespace(total=16e9)
    monkeypatch.setattr(pools, "psutil", SimpleNamespace(virtual_memory=lambda: memory))


@pytest.mark.usefixtures("sixteen_gigabytes")
@pytest.mark.parametrize(
    ("ranks", "kpoints", "expected"),
    [(1, 10, 1), (2, 1, 1), (2, 2, 2), (2, 3, 1), (2, 4, 2), (2, 5, 1), (7, 3, 1), (8, 4, 4), (12, 6, 6)],
)
def test_as_many_as_share_the_k_points_well(ranks, kpoints, expected):
    assert choose_pools(ranks, kpoints=kpoints, memory=0.1) == expected


@pytest.mark.usefixtures("sixteen_gigabytes")
def test_pools_hold_no_more_than_half_of_the_memory():
    assert choose_pools(8, kpoints=8, memory=2.0) == 4
    assert choose_pools(8, kpoints=8, memory=9.0) == 1


@given(st.integers(1, 256), st.integers(1, 1000), st.floats(0.01, 100))
def test_ranks_are_divided_evenly_and_no_pool_is_idle(ranks, kpoints, memory):
    chosen = choose_pools(ranks, kpoints=kpoints, memory=memory)
    assert ranks % chosen == 0
    assert chosen <= kpoints


@pytest.mark.usefixtures("pw")
@pytest.mark.espresso
def test_pw_shares_the_k_points_of_both_spins_and_finds_the_same_energy(heterodft_in, tiny_text, tmp_path):
    text = tiny_text.replace("[NM, FM]", "[FM]").replace("steps: [static, {dos: {kspacing: 0.9}}]", "steps: [static]")
    found = []
    for cores in ("1", "2"):
        (tmp_path / cores).mkdir()
        program = heterodft_in(tmp_path / cores)
        (program.folder / "tiny.yaml").write_text(text)
        program("submit", "tiny.yaml")
        program("run", "--cores", cores, "--quiet")
        folder = program.folder / "runs/tiny/bulk/FM/Ti-3d-4eV/static"
        shared = "K-points division:     npool     =       2" in (folder / "pw.out").read_text()
        found.append((Result.load(folder).energy, shared))
    assert [pooled for _, pooled in found] == [False, True]
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-4)
