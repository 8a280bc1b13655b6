"""The gap of several steps together, and what their meshes and smearing leave doubtful; with results of real runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from campaign_folders import PRISTINE, Campaign, result

from heterodft.analysis.gap_of_steps import gap_of_steps
from heterodft.analysis.gaps import find_gap
from heterodft.analysis.misfilling import Misfilling, find_misfilling
from heterodft.analysis.report import collect
from heterodft.analysis.report.summary import counted, counted_states
from heterodft.analysis.result import Bands, Result

EXAMPLES = Path(__file__).parents[2] / "examples"
CRN = EXAMPLES / "cr2o3-crn" / "results" / "runs" / "cr2o3-crn-small"
CZO = EXAMPLES / "cazro3-ktao3" / "results" / "runs" / "cazro3-ktao3-small"
KTO = EXAMPLES / "laalo3-ktao3" / "results" / "runs" / "laalo3-ktao3-small"
U = "Cr-3d-3eV"


def loaded(*parts):
    folder = CRN.joinpath(*parts) if U in parts else CZO.joinpath(*parts)
    return Result.load(folder)


def bands_at(points, tops, bottoms):
    energies = np.array([[[top, bottom] for top, bottom in zip(tops, bottoms, strict=True)]] * 2)
    kpoints = np.array([[x, 0.0, 0.0] for x in points])
    return Bands(energies, (energies < 0) * 1.0, kpoints, np.full(len(points), 1 / len(points)))


def steps(static, dos):
    made = [replace(result(PRISTINE, "static"), bands=static), replace(result(PRISTINE, "dos"), bands=dos)]
    return [replace(one, electrons=None) for one in made]


def test_an_edge_that_only_the_coarser_mesh_has_narrows_the_gap():
    static = bands_at([0.0, 0.5], [-1.0, -0.2], [2.0, 1.5])
    dos = bands_at([0.0, 1 / 3], [-1.0, -0.6], [2.0, 1.2])
    gap, names = gap_of_steps(steps(static, dos))
    assert (names, gap.kpoints) == (("static", "dos"), 3)
    assert gap.value == pytest.approx(1.2 + 0.2)
    assert [spin.at[0][0] for spin in gap.spins] == [0.5, 0.5]


@pytest.mark.parametrize(
    "other",
    [
        bands_at([0.0, 0.5], [-1.3, -0.2], [1.7, 1.5]),  # another zero of energy
        bands_at([0.25, 0.5], [-1.0, -0.2], [2.0, 1.5]),  # no point in common tells the zero
        bands_at([0.0, 1 / 3], [-1.0, -0.6], [2.0, 1.2]),  # nothing new
    ],
)
def test_steps_that_do_not_belong_together_are_not_joined(other):
    dos = bands_at([0.0, 1 / 3], [-1.0, -0.6], [2.0, 1.2])
    gap, names = gap_of_steps(steps(other, dos))
    assert (names, gap.kpoints) == (("dos",), 2)
    assert gap.value == pytest.approx(1.8)


def test_another_cell_is_not_joined():
    static, dos = steps(bands_at([0.0, 0.5], [-1.0, -0.2], [2.0, 1.5]), bands_at([0.0], [-1.0], [2.0]))
    stretched = PRISTINE.copy()
    stretched.scale_lattice(1.1 * stretched.volume)
    assert gap_of_steps([replace(static, structure=stretched), dos])[1] == ("dos",)


@pytest.mark.parametrize(
    ("order", "value"),
    [("FM", 0.097), ("Cr2O3-FM_CrN-FM_antiparallel", 0.457), ("Cr2O3-AFM_CrN-FM_parallel", 0.288)],
)
def test_real_steps_share_one_scale_of_energies(order, value):
    both = [loaded("thick", order, U, step) for step in ("static", "dos")]
    gap, names = gap_of_steps(both)
    assert names == ("static", "dos")
    assert gap.value == pytest.approx(value, abs=1e-3)
    assert gap.value <= min(find_gap(one).value for one in both)


def test_the_report_tells_the_gap_of_both_steps(tmp_path):
    campaign = Campaign(tmp_path / "runs" / "demo")
    campaign.finish("sl", "static", changes={"bands": bands_at([0.0, 0.5], [-1.0, -0.2], [2.0, 1.5])})
    campaign.finish("sl", "dos", changes={"bands": bands_at([0.0, 1 / 3], [-1.0, -0.6], [2.0, 1.2])})
    (report,) = collect(campaign.root)
    assert report.gap.value == pytest.approx(1.4)
    assert report.gap_source == "from the static and dos steps, 3 k-points"


# first-order estimates by hand from the bands, with which an independent evaluation agreed to 0.1 meV
@pytest.mark.parametrize(
    ("place", "electrons", "energy"),
    [
        (("001", "NM", "noU"), 0.3805, 0.0375),
        (("110", "NM", "noU"), 0.4250, 0.0309),
        (("thick", "Cr2O3-FM_CrN-FM_antiparallel", U), 0.1914, 0.0173),
        (("thick", "FM", U), 0.4502, -0.0019),
    ],
)
def test_cold_smearing_put_the_fermi_level_of_real_insulators_among_their_bands(place, electrons, energy):
    found = find_misfilling(loaded(*place, "static"))
    assert (found.electrons, found.energy) == (
        pytest.approx(electrons, abs=1e-3),
        pytest.approx(energy, abs=2e-4),
    )


def test_bands_filled_as_those_of_an_insulator_and_metals_are_left_alone():
    assert find_misfilling(replace(result(PRISTINE, "static"), electrons=2.0)) is None
    assert find_misfilling(loaded("thin", "FM", U, "static")) is None, "a half-metal"


def test_a_wide_gap_and_a_narrow_one_have_other_remedies():
    wide, narrow = (find_misfilling(loaded("001" + defect, "NM", "noU", "static")) for defect in ("", "-V_O_2"))
    assert (wide.is_wide, narrow.is_wide) == (True, False)
    assert wide.text == (
        "0.38 electrons across 2.33 eV, the energy 37.5 meV a cell too high; give smearing: gaussian"
    )
    assert narrow.text.endswith("give smearing: gaussian and a narrower smearing_width")


def test_metals_that_were_insulators_on_the_mesh_of_their_density_say_so():
    reports = {report.name: report for report in collect(CZO)}
    assert [c.partition(":")[0] for c in reports["001-V_O_2"].caveats] == [
        "smearing fills bands on both sides of the gap",
        "the density is that of an insulator, which only more k-points make a metal",
        "the atoms were relaxed as in an insulator, which only more k-points make a metal",
    ]
    (relaxed,) = reports["001-V_O_1"].caveats
    assert relaxed.endswith(": a gap of 1.40 eV on 1 k-point; give the relax step a smaller kspacing")


def test_caveats_alike_are_told_once_with_the_first_few_places():
    told = [line for line in counted(collect(CRN)) if line.startswith("smearing")]
    (line,) = told
    assert line.startswith("smearing fills bands on both sides of the gap (9 of 12 configurations): thick/Cr2O3-AFM_")
    assert line.count(" eV, the energy ") == 3
    assert line.endswith("; and 6 more")
    (one,) = [line for line in counted(collect(CRN)) if line.startswith("the k-points of the dos step")]
    assert one.endswith(" (1 of 12 configurations: thin-other/FM/Cr-3d-3eV)")


def test_caveats_of_states_name_the_configurations_they_are_of():
    vacancies = "2 of 3 configurations: vacancy-V_O_1/FM/Ta-5d-0eV, vacancy-V_O_1/FM/Ta-5d-1eV"
    told = counted_states(collect(KTO))
    assert told[0].startswith("the state reached is not the FM order asked for")
    assert all(line.endswith(f" ({vacancies})") for line in told)


def test_few_electrons_across_a_gap_are_not_told_as_none():
    assert Misfilling(0.0032, 0.0049, 0.458, 0.136).text.startswith("0.003 electrons across 0.46 eV")
