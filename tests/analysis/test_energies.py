from __future__ import annotations

from dataclasses import replace

import pytest

from heterodft.analysis.energies import comparison_key, relative_energies
from heterodft.analysis.result import Result
from heterodft.structures import build_material

SETTINGS = {
    "xc": "PBE", "cutoff": 500.0, "density_cutoff": 2000.0, "kpoints": [4, 4, 4], "shift": [0, 0, 0],
    "smearing": "cold", "smearing_width": 0.1, "raw": {}, "mixing": 0.3,
}  # fmt: skip


def result(energy, *, structure=None, converged=True, version="6.7", **changes):
    body = {"pseudopotentials": {"Ti": "abc"}, "hubbard": [["Ti", "3d", 4.0]]}
    body |= {key: changes.pop(key) for key in ("pseudopotentials", "hubbard", "moments") if key in changes}
    request = {"request": body | {"settings": SETTINGS | changes}}
    structure = structure or build_material("SrTiO3").cell
    return Result(
        "espresso", version, "static", structure, 32.0, energy, (0.0,), None, None, {}, converged, 5, 0.0,
        1.0, 1.0, request=request,
    )  # fmt: skip


def test_energies_are_relative_to_the_lowest_comparable_one():
    assert relative_energies([result(-9.0), result(-10.0), result(-9.5)]) == pytest.approx([1.0, 0.0, 0.5])


def test_moments_and_the_way_to_convergence_do_not_hinder_a_comparison():
    assert relative_energies([result(-9.0, moments=[1.0]), result(-10.0, moments=None, mixing=0.1)]) == [1.0, 0.0]


def test_parallel_settings_and_a_minor_version_do_not_hinder_a_comparison():
    found = relative_energies([result(-9.0), result(-10.0, raw={"NCORE": 4, "KPAR": 2}), result(-8.0, version="6.8")])
    assert found == pytest.approx([1.0, 0.0, 2.0])


@pytest.mark.parametrize(
    "change",
    [
        {"xc": "PBEsol"},
        {"cutoff": 600.0},
        {"density_cutoff": 3000.0},
        {"kpoints": [6, 6, 6]},
        {"shift": [1, 1, 1]},
        {"smearing": "gaussian"},
        {"smearing_width": 0.2},
        {"raw": {"tot_charge": 1}},
        {"hubbard": [["Ti", "3d", 5.0]]},
        {"hubbard": []},
        {"pseudopotentials": {"Ti": "def"}},
        {"version": "7.2"},
        {"structure": build_material("LaAlO3").cell},
        {"structure": build_material("SrTiO3").cell * (2, 1, 1)},
    ],
)
def test_energies_of_another_kind_are_not_subtracted(change):
    assert relative_energies([result(-9.0), result(-10.0, **change)]) == [None, None]
    assert comparison_key(result(-9.0)) != comparison_key(result(-9.0, **change))


def test_each_kind_has_its_own_lowest():
    other = {"cutoff": 600.0}
    found = relative_energies([result(-9.0), result(-20.0, **other), result(-8.0), result(-18.0, **other)])
    assert found == [0.0, 0.0, 1.0, 2.0]


def test_what_has_no_energy_or_did_not_converge_is_not_compared():
    found = relative_energies([result(-9.0), None, result(None), result(-99.0, converged=False), result(-8.0)])
    assert found == [0.0, None, None, None, 1.0]


def test_an_energy_without_company_is_relative_to_nothing():
    assert relative_energies([result(-9.0)]) == [None]
    assert relative_energies([]) == []


def test_results_without_a_request_are_not_compared():
    bare = [result(energy) for energy in (-9.0, -10.0)]
    for one in bare:
        object.__setattr__(one, "request", {})
    assert relative_energies(bare) == [None, None]


def test_energies_of_different_cells_are_not_subtracted():
    """A 110 and a 111 stack of one composition have other k-points; only one and the same cell compares."""
    other = build_material("SrTiO3", a=3.95).cell
    assert relative_energies([result(-9.0), result(-10.0, structure=other)]) == [None, None]


WIDER = {"errors": ["SCF not converged"], "changes": {"system->degauss": [0.01, 0.02]}, "touches": ["smearing"]}
SLOWER = {"errors": ["SCF not converged"], "changes": {"electrons->mixing_beta": [0.4, 0.32]}, "touches": []}


def test_a_correction_of_the_mixing_does_not_hinder_a_comparison_and_one_of_the_smearing_does():
    slower = replace(result(-9.0), corrections=[SLOWER])
    wider = replace(result(-12.0), corrections=[SLOWER, WIDER])
    assert comparison_key(wider) is None
    assert relative_energies([result(-10.0), slower, wider]) == pytest.approx([0.0, 1.0, None])
