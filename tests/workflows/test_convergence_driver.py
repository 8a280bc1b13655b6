from __future__ import annotations

import sys
from itertools import pairwise
from math import exp
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.symmetry.groups import SpaceGroup

from heterodft.analysis.result import Bands
from heterodft.units import RYDBERG
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import campaign_chains
from heterodft.workflows.drivers import build_driver, strategy_of
from heterodft.workflows.drivers.driver import read_driver, write_driver
from heterodft.workflows.drivers.recommendation import cost_of_driver, cost_of_recommendation
from heterodft.workflows.settings_file import load_settings

sys.path.append(str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "analysis"))
from drive_here import MadeUp, drive_made_up
from made_results import made_result

_KEPT = SpaceGroup("Fm-3m")  # pymatgen makes it anew, in a second, for every cell unless one is alive
CRN = """\
name: crn
code: espresso
materials:
  CrN: {prototype: rocksalt, a: 4.15}
  MgO: {prototype: rocksalt, a: 4.2}
structures:
  bulk: {stack: [{material: CrN, layers: 2}]}
magnetism: {orders: [FM, AFM-A], moments: {Cr: 3.0}}
hubbard: {Cr-3d: 3.0}
method: {protocol: fast, cutoff: 60 Ry, kpoints: [4, 4, 3]}
steps: [static, dos]
"""


def _campaign(tmp_path, section, text=CRN):
    path = tmp_path / "crn.yaml"
    path.write_text(text + f"converge:\n  {section}\n")
    return load_campaign(path)


def _driver(tmp_path, section, text=CRN):
    campaign = _campaign(tmp_path, section, text)
    return build_driver(campaign, campaign.converge.asked[0])


def _made(asked, energy, *, scale=1.0, **values):
    moments = [scale * m for m in asked.moments or [0.0] * len(asked.structure["species"])]
    return made_result(asked.to_structure(), moments=moments, energy=energy, cpu_seconds=2.0, **values)


def _decaying(k=0.12, order=0.0):
    """E = E0 + A exp(-k Ry) an atom, and as much of `order` more for all orders but FM."""

    def result_of(request):
        rydberg = request.settings.cutoff / RYDBERG
        per_atom = 5.0 * exp(-k * rydberg) + (request.about["order"] != "FM") * (order * exp(-k * rydberg) - 0.03)
        return _made(request, 4 * per_atom - 900.0)

    return result_of


def _summary(driver, finished, **options):
    return strategy_of(driver).summarize(driver, finished, **options)


CUTOFF = "cutoff: {start: 30 Ry, stop: 120 Ry, step: 10 Ry, quantities: {energy: 1 meV/atom}}"


def test_it_stops_exactly_where_two_points_agree(tmp_path):
    driver = _driver(tmp_path, CUTOFF)
    finished, decisions = drive_made_up(driver, _decaying())
    # 5 eV (exp(-0.12 E) - exp(-0.12 (E + 10))) is 2.6 meV from 60 to 70 Ry, 0.79 meV from 70 to 80 Ry
    summary = _summary(driver, finished)
    assert summary.data["recommended_label"] == "70 Ry"
    assert summary.data["recommended"] == pytest.approx(70 * RYDBERG)
    assert summary.data["converged"] is True
    assert [decision.words.split(";")[-1].strip() for decision in decisions][:2] == ["30 Ry first", "40 Ry next"]
    assert "energy of bulk FM Cr-3d-3eV changed by" in decisions[2].words
    assert len(decisions) == 7  # 30 … 80 Ry, then the end
    assert (summary.data["computed"], summary.data["planned"]) == (12, 20)
    assert any("12 of 20 calculations were made, 8 were not needed" in line for line in summary.words)
    assert (summary.data["iterations"], summary.data["cpu_seconds"]) == (120, 24.0)


@pytest.mark.parametrize("where", ["campaign", "structure"])
def test_a_free_cell_is_relaxed_at_the_cutoff_of_each_point(tmp_path, where):
    """Not at the one that a free cell takes by itself: all points would be the same, and seem converged."""
    steps = "[{relax: {cell: full, coarse_first: true}}, static]"
    if where == "campaign":
        text = CRN.replace("steps: [static, dos]", f"steps: {steps}")
    else:
        text = CRN.replace("layers: 2}]}", f"layers: 2}}], steps: {steps}}}")
    text = text.replace("cutoff: 60 Ry,", "cutoff: 60 Ry, density_cutoff: 480 Ry,")
    driver = _driver(tmp_path, "cutoff: {values: [40 Ry, 60 Ry], quantities: {volume: 1 Å³}}", text)
    found = {
        round(request.settings.cutoff / RYDBERG): round(request.settings.density_cutoff / RYDBERG)
        for point in driver.points
        for chain in point.chains
        for request in chain
    }
    assert found == {40: 320, 60: 480}


def test_the_remaining_error_is_that_of_the_decay(tmp_path):
    driver = _driver(tmp_path, CUTOFF)
    finished, _ = drive_made_up(driver, _decaying())
    quantities = _summary(driver, finished).data["convergence"]["quantities"]
    assert quantities[0]["remaining"] == pytest.approx(5 * exp(-0.12 * 70), rel=1e-3)


def test_a_slow_decay_is_told_to_leave_more_than_asked(tmp_path):
    driver = _driver(tmp_path, "cutoff: {start: 30 Ry, stop: 120 Ry, step: 10 Ry, quantities: {energy: 90 meV/atom}}")
    finished, _ = drive_made_up(driver, _decaying(k=0.04))
    summary = _summary(driver, finished)
    assert summary.data["converged"]
    assert any("more than asked: the changes decay slowly" in line for line in summary.words)


@settings(max_examples=25, deadline=None)
@given(k=st.floats(0.03, 0.5), tolerance=st.floats(0.2, 20), agree=st.integers(2, 3))
def test_it_computes_as_many_points_as_it_takes_and_no_more(tmp_path_factory, k, tolerance, agree):
    quantities = f"{{energy: {tolerance} meV/atom}}"
    section = f"cutoff: {{start: 30 Ry, stop: 100 Ry, step: 10 Ry, agree: {agree}, quantities: {quantities}}}"
    driver = _driver(tmp_path_factory.mktemp("k"), section)
    finished, _ = drive_made_up(driver, _decaying(k=k))
    energies = [5000 * exp(-k * (30 + 10 * i)) for i in range(8)]
    spans = [energies[i] - energies[i + agree - 1] for i in range(8 - agree + 1)]
    first = next((i for i, span in enumerate(spans) if span <= tolerance), None)
    if any(abs(span - tolerance) < 1e-6 for span in spans):
        return
    data = _summary(driver, finished).data
    assert data["converged"] == (first is not None)
    assert data["computed"] == 2 * (8 if first is None else first + agree)
    assert data["recommended_label"] == (None if first is None else f"{30 + 10 * first} Ry")


def test_differences_between_orders_are_what_is_converged(tmp_path):
    by_energy = _driver(tmp_path, CUTOFF.replace("energy: 1 meV/atom", "energy: 100 meV/atom"))
    by_order = _driver(tmp_path, CUTOFF.replace("energy: 1 meV/atom", "order_energy: 1 meV/f.u."))
    finished, _ = drive_made_up(by_energy, _decaying(order=50.0))
    assert _summary(by_energy, finished).data["recommended_label"] == "50 Ry"
    finished, decisions = drive_made_up(by_order, _decaying(order=50.0))
    # 100 eV/f.u. (exp(-0.12 E) - exp(-0.12 (E + 10))) falls below 1 meV at 100 Ry: 0.43 meV
    assert _summary(by_order, finished).data["recommended_label"] == "100 Ry"
    assert "order_energy of bulk AFM-A - FM Cr-3d-3eV changed by" in decisions[4].words


def test_equal_errors_of_two_orders_cancel(tmp_path):
    driver = _driver(tmp_path, CUTOFF.replace("energy: 1 meV/atom", "order_energy: 1 meV/f.u."))
    finished, _ = drive_made_up(driver, _decaying())
    assert _summary(driver, finished).data["recommended_label"] == "30 Ry"


def test_the_end_of_the_range_without_agreement_is_told(tmp_path):
    driver = _driver(tmp_path, CUTOFF.replace("120 Ry", "50 Ry"))
    finished, _ = drive_made_up(driver, _decaying())
    summary = _summary(driver, finished)
    assert summary.data["ended"]
    assert summary.data["converged"] is False
    assert summary.data["recommended"] is None
    assert summary.words[0] == "not converged at the end of the range, 50 Ry; set stop further on"
    assert "40 Ry to 50 Ry: energy of bulk FM" in summary.words[1]


def test_three_points_must_agree_pair_by_pair(tmp_path):
    drift = {30: 0.0, 40: 0.9, 50: 1.8, 60: 2.7, 70: 2.75, 80: 2.72}

    def result_of(request):
        return _made(request, 4e-3 * drift[round(request.settings.cutoff / RYDBERG)])

    section = "cutoff: {start: 30 Ry, stop: 80 Ry, step: 10 Ry, agree: 3, quantities: {energy: 1 meV/atom}}"
    finished, _ = drive_made_up(driver := _driver(tmp_path, section), result_of)
    assert _summary(driver, finished).data["recommended_label"] == "50 Ry"  # 50, 60 and 70 Ry; not 30, 40 and 50


def test_an_oscillating_mesh_is_not_taken_for_converged(tmp_path):
    def result_of(request):
        n = request.settings.kpoints[0]
        return _made(request, 4 * (-1) ** n * 0.05 * exp(-0.3 * n))

    driver = _driver(tmp_path, "kspacing: {start: 0.6, factor: 0.9, stop: 0.1, quantities: {energy: 1 meV/atom}}")
    finished, _ = drive_made_up(driver, result_of)
    summary = _summary(driver, finished)
    meshes = [point["k-mesh"] for point in summary.data["points"]]
    assert len(set(meshes)) == len(meshes)
    table = summary.tables["convergence"]
    final = table[table["kspacing"] == table["kspacing"].iloc[-1]]
    assert summary.data["converged"] == bool((final["change"].abs() <= 1.0).all())


def test_a_mesh_changes_along_every_direction_or_is_no_point(tmp_path):
    driver = _driver(tmp_path, "kspacing: {start: 0.6, factor: 0.93, stop: 0.15}")
    meshes = [point.chains[0][-1].settings.kpoints for point in driver.points]
    for one, other in pairwise(meshes):
        assert all(a < b for a, b in zip(one, other, strict=True))
    assert driver.rule["left_out"]
    assert all("is left out: the mesh" in told for told in driver.rule["left_out"])
    orders = {request.about["order"] for point in driver.points for chain in point.chains for request in chain}
    assert orders == {"FM", "AFM-A"}


def test_each_point_starts_from_the_density_of_the_one_before(tmp_path):
    driver = _driver(tmp_path, CUTOFF)
    _, decisions = drive_made_up(driver, _decaying())
    first, second, third = (decision.chains for decision in decisions[:3])
    assert [chain[0].parent for chain in first] == [None, None]
    assert [chain[0].parent for chain in second] == [chain[-1].id for chain in first]
    assert [chain[0].parent for chain in third] == [chain[-1].id for chain in second]
    assert third[1][0].about["parent_folder"] == "../../Cr-3d-3eV.40Ry/static"


def test_a_start_from_a_density_that_takes_longer_is_given_up(tmp_path):
    def result_of(request):
        slow = request.parent is not None and request.about["order"] == "FM"
        rydberg = request.settings.cutoff / RYDBERG
        return _made(request, 20 * exp(-0.12 * rydberg), iterations=25 if slow else 12)

    driver = _driver(tmp_path, CUTOFF)
    _, decisions = drive_made_up(driver, result_of)
    cold = [[chain[0].parent is None for chain in decision.chains] for decision in decisions[:4]]
    assert cold == [[True, True], [False, False], [True, False], [True, False]]
    driver = _driver(tmp_path, CUTOFF.replace("quantities", "start_from: previous, quantities"))
    _, decisions = drive_made_up(driver, result_of)
    assert not any(chain[0].parent is None for decision in decisions[1:] for chain in decision.chains)


def test_from_scratch_every_point_stands_alone_and_may_be_shared(tmp_path):
    section = CUTOFF.replace("quantities", "start_from: scratch, quantities")
    campaign = _campaign(tmp_path, section)
    driver = build_driver(campaign, "cutoff")
    _, decisions = drive_made_up(driver, _decaying())
    computed = [request for decision in decisions for chain in decision.chains for request in chain]
    assert all(request.parent is None for request in computed)
    statics = {chain[0].id for chain in campaign_chains(campaign)}
    assert statics <= {request.id for request in computed}  # 60 Ry is that of the campaign, to the last digit


def test_no_step_is_computed_that_nothing_is_compared_of(tmp_path):
    driver = _driver(tmp_path, CUTOFF)
    assert {request.step for point in driver.points for chain in point.chains for request in chain} == {"static"}


def test_another_state_at_one_point_never_counts_as_agreement(tmp_path):
    def result_of(request):
        flipped = request.about["order"] == "AFM-A" and round(request.settings.cutoff / RYDBERG) == 50
        result = _made(request, -900.0)
        if not flipped:
            return result
        alike = [abs(moment) for moment in request.moments]
        state = {"state": {"verdict": "flipped", "sites": [2]}}
        return made_result(request.to_structure(), moments=alike, energy=-900.0, request=state)

    section = CUTOFF.replace("30 Ry", "50 Ry").replace("energy: 1 meV/atom", "energy: 1 meV/atom, moment: 0.01")
    driver = _driver(tmp_path, section)
    finished, decisions = drive_made_up(driver, result_of)
    summary = _summary(driver, finished)
    assert summary.data["recommended_label"] == "60 Ry"
    assert summary.data["computed"] == 6
    assert "does not count: not in the state asked for (AFM-A): flipped" in decisions[2].words
    assert any("not in the state asked for (AFM-A): flipped (at 50 Ry)" in line for line in summary.words)
    # what missed its state hands nothing on
    assert [chain[0].parent is None for chain in decisions[1].chains] == [False, True]
    assert [chain[0].parent is None for chain in decisions[2].chains] == [False, False]


def test_a_state_that_changes_between_points_is_seen_without_a_verdict(tmp_path):
    def result_of(request):
        low_spin = round(request.settings.cutoff / RYDBERG) == 30
        return _made(request, -900.0, scale=0.5 if low_spin else 1.0)

    driver = _driver(tmp_path, CUTOFF)
    finished, decisions = drive_made_up(driver, result_of)
    assert _summary(driver, finished).data["recommended_label"] == "40 Ry"
    assert "another state: FM with other sizes of moments" in decisions[2].words


def test_an_order_that_is_never_reached_ends_the_driver_early(tmp_path):
    def result_of(request):
        state = {"state": {"verdict": "collapsed"}} if request.about["order"] == "AFM-A" else {}
        return _made(request, -900.0, request=state)

    driver = _driver(tmp_path, CUTOFF)
    finished, _ = drive_made_up(driver, result_of)
    summary = _summary(driver, finished)
    assert summary.data["computed"] == 6
    assert summary.data["converged"] is False
    assert summary.words[0].startswith("stopped without an answer at 50 Ry: what had no value")


def test_one_failed_point_is_passed_over(tmp_path):
    def result_of(request):
        bad = round(request.settings.cutoff / RYDBERG) == 40 and request.about["order"] == "AFM-A"
        return "the SCF cycle did not converge" if bad else _decaying()(request)

    driver = _driver(tmp_path, CUTOFF)
    finished, decisions = drive_made_up(driver, result_of)
    summary = _summary(driver, finished)
    assert summary.data["recommended_label"] == "70 Ry"
    assert [one["point"] for one in summary.data["failed"]] == ["40 Ry"]
    assert any("40 Ry was passed over, it failed: crn.cutoff/bulk/AFM-A" in line for line in summary.words)
    fm, afm = decisions[2].chains
    assert fm[0].about["parent_folder"] == "../../Cr-3d-3eV.40Ry/static"
    assert afm[0].about["parent_folder"] == "../../Cr-3d-3eV.30Ry/static"


def test_two_failed_points_end_the_driver(tmp_path):
    driver = _driver(tmp_path, CUTOFF)
    finished, decisions = drive_made_up(driver, lambda request: "pw.x was killed")
    assert len(decisions) == 3
    summary = _summary(driver, finished)
    assert summary.data["converged"] is False
    assert "2 points failed" in summary.words[0]


def test_what_is_under_way_is_asked_for_again(tmp_path):
    driver = _driver(tmp_path, CUTOFF)
    finished = MadeUp(_decaying())
    first = strategy_of(driver).decide(driver, finished)
    finished.compute(first.chains[0][0])
    again = strategy_of(driver).decide(driver, finished)
    assert [chain[0].id for chain in again.chains] == [chain[0].id for chain in first.chains]
    summary = _summary(driver, finished)
    assert summary.data["ended"] is False
    assert summary.data["converged"] is None
    assert summary.words[0] == "not ended: 30 Ry is to be computed"


def test_a_driver_read_back_goes_on_as_before(tmp_path):
    driver = _driver(tmp_path, CUTOFF)
    finished, decisions = drive_made_up(driver, _decaying())
    read = read_driver(write_driver(driver, tmp_path / "runs"))
    assert strategy_of(read).decide(read, finished).words == decisions[-1].words


def _two_bands(request, gap):
    energies = np.array([[[0.0, 1.0 + gap]], [[0.0, 1.0 + gap]]]) - (0 if gap else np.array([0.0, 1.0]))
    bands = Bands(energies, np.array([[[1.0, 0.0]], [[1.0, 0.0]]]), np.zeros((1, 3)), np.ones(1))
    if not gap:
        bands = Bands(
            np.array([[[0.0, 0.5], [0.6, 0.9]]] * 2), np.ones((2, 2, 2)) / 2, np.zeros((2, 3)), np.ones(2) / 2
        )
    return _made(request, -900.0, bands=bands, fermi_levels=(0.7 if not gap else 0.5,), electrons=2.0)


def test_a_gap_converges(tmp_path):
    driver = _driver(tmp_path, CUTOFF.replace("energy: 1 meV/atom", "gap: 10 meV"))
    finished, _ = drive_made_up(driver, lambda r: _two_bands(r, 1 + 5 * exp(-0.12 * r.settings.cutoff / RYDBERG)))
    assert _summary(driver, finished).data["recommended_label"] == "50 Ry"


def test_a_metal_has_no_gap_that_could_agree(tmp_path):
    driver = _driver(tmp_path, CUTOFF.replace("energy: 1 meV/atom", "gap: 10 meV"))
    finished, _ = drive_made_up(driver, lambda request: _two_bands(request, 0.0))
    summary = _summary(driver, finished)
    assert summary.data["converged"] is False
    assert summary.data["computed"] == 6
    assert any(
        "bulk FM Cr-3d-3eV: a metal, which has no gap (at 30 Ry, 40 Ry, 50 Ry)" in line for line in summary.words
    )


def test_pressure_and_forces_are_switched_on_where_they_are_asked_for(tmp_path):
    driver = _driver(tmp_path, CUTOFF.replace("energy: 1 meV/atom", "pressure: 1 kbar, forces: 0.01"))
    raw = driver.points[0].chains[0][0].settings.raw
    assert raw == {"tprnfor": True, "tstress": True}

    def result_of(request):
        kbar = 1000 * exp(-0.1 * request.settings.cutoff / RYDBERG)
        stress = -np.eye(3) * kbar / 1602.176634
        return _made(request, -900.0, stress=stress, forces=np.zeros((4, 3)))

    finished, _ = drive_made_up(driver, result_of)
    summary = _summary(driver, finished)
    # 1000 kbar exp(-0.1 E) (1 - 1/e) falls below 1 kbar at 70 Ry
    assert summary.data["recommended_label"] == "70 Ry"
    table = summary.tables["convergence"]
    assert table[table["quantity"] == "pressure"]["value"].iloc[0] == pytest.approx(1000 * exp(-3))
    assert "all forces are zero by symmetry, so that their agreement says nothing" in summary.words


def test_a_handler_that_changed_the_physics_makes_a_point_incomparable(tmp_path):
    def result_of(request):
        at = round(request.settings.cutoff / RYDBERG)
        changed = [
            {"program": "pw.x", "errors": ["x"], "changes": {"degauss": [0.01, 0.02]}, "touches": ["smearing"]}
        ]
        return _made(request, -900.0, corrections=changed if at == 30 else [])

    driver = _driver(tmp_path, CUTOFF)
    finished, _ = drive_made_up(driver, result_of)
    assert _summary(driver, finished).data["recommended_label"] == "40 Ry"


SUPERLATTICE = CRN.replace(
    "bulk: {stack: [{material: CrN, layers: 2}]}",
    "sl: {stack: [{material: CrN, layers: 2}, {material: MgO, layers: 2}], in_plane: MgO}",
).replace("orders: [FM, AFM-A]", "orders: [FM, AFM-A], unfit: skip")


def test_layers_converge_by_what_an_added_layer_adds(tmp_path):
    section = "layers: {material: MgO, values: [2, 4, 6, 8, 10], quantities: {energy: 1 meV/atom, moment: 0.01}}"
    driver = _driver(tmp_path, section, SUPERLATTICE)
    assert [point.label for point in driver.points] == ["2 layers", "4 layers", "6 layers", "8 layers", "10 layers"]

    def result_of(request):
        count = sum(element == "Mg" for element in request.structure["species"])
        interface = 0.5 * exp(-count)  # felt across the spacer
        return _made(request, -700.0 - 12.0 * count + interface)

    finished, decisions = drive_made_up(driver, result_of)
    summary = _summary(driver, finished)
    assert all(request.parent is None for d in decisions for chain in d.chains for request in chain)
    energies = summary.tables["convergence"].query("quantity == 'energy' and configuration.str.contains('FM')")
    energies = energies["value"].to_numpy()[: len(decisions) - 1]
    assert np.isnan(energies[0])
    # -12 eV for two atoms of MgO, and what the interfaces feel: (exp(-4) - exp(-2)) / 2 for 4 atoms, in meV
    assert energies[1] == pytest.approx(-6000.0 + 500 * (exp(-4) - exp(-2)) / 4, abs=1e-3)
    # that is 14.63, 1.98, 0.27 and 0.04 meV from the limit: the first two that agree are 8 and 10 layers
    assert np.abs(np.diff(energies))[1:] == pytest.approx([12.65, 1.712, 0.232], abs=0.01)
    assert summary.data["recommended_label"] == "8 layers"


def test_moments_of_layers_are_compared_by_their_distance_from_the_interfaces(tmp_path):
    section = "layers: {material: CrN, values: [2, 4, 6, 8], orders: FM, quantities: {moment: 0.01}}"
    driver = _driver(tmp_path, section, SUPERLATTICE)

    def result_of(request):
        sites = request.structure["site_properties"]
        count = max(n for n, e in zip(sites["layer"], request.structure["species"], strict=True) if e == "Cr")
        moments = [
            (3.0 + 0.2 * (layer in (1, count))) * (element == "Cr")
            for layer, element in zip(sites["layer"], request.structure["species"], strict=True)
        ]
        return made_result(request.to_structure(), moments=moments, energy=-1.0)

    finished, _ = drive_made_up(driver, result_of)
    assert _summary(driver, finished).data["recommended_label"] == "2 layers"  # both layers are at an interface


def test_layers_that_an_order_does_not_fit_are_left_out(tmp_path):
    text = CRN.replace("MgO: {prototype: rocksalt, a: 4.2}", "MgO: {prototype: rocksalt, a: 4.2}")
    driver = _driver(tmp_path, "layers: {start: 2, stop: 6, quantities: {moment: 0.01}}", text)
    assert [point.value for point in driver.points] == [2, 4, 6]
    assert driver.rule["left_out"][0].startswith("3 layers cannot be built: magnetism: order AFM-A")
    assert "c.yaml" not in driver.rule["left_out"][0], "where another number of layers stands"


def test_vacuum_is_that_of_slabs_alone(tmp_path):
    text = CRN.replace(
        "structures:\n",
        "structures:\n  slab: {stack: [{material: MgO, layers: 3}], vacuum: 10, magnetism: {orders: [NM]}}\n",
    )
    text = text.replace("[static, dos]", "[static]")
    driver = _driver(tmp_path, "vacuum: {start: 8, stop: 16, step: 4, quantities: {energy: 1 meV/atom}}", text)
    assert {chain[0].about["name"] for point in driver.points for chain in point.chains} == {"slab"}
    heights = [chain[0].to_structure().lattice.c for point in driver.points for chain in point.chains[:1]]
    assert np.diff(heights) == pytest.approx([4.0, 4.0], abs=1e-6)
    finished, _ = drive_made_up(driver, lambda request: _made(request, -10.0))
    assert _summary(driver, finished).data["recommended_label"] == "8 Å"


def test_a_value_wins_over_that_of_a_structure_and_of_a_step(tmp_path):
    text = CRN.replace("layers: 2}]}", "layers: 2}], method: {cutoff: 70 Ry, density_cutoff: 560 Ry}}")
    text = text.replace("[static, dos]", "[{static: {kpoints: [2, 2, 2]}}]")
    driver = _driver(tmp_path, CUTOFF, text)
    settings = driver.points[1].chains[0][0].settings
    assert settings.cutoff == pytest.approx(40 * RYDBERG)
    assert settings.density_cutoff == pytest.approx(320 * RYDBERG)  # the same ratio
    driver = _driver(tmp_path, "kspacing: {start: 0.5}", text)
    assert driver.points[0].chains[0][0].settings.kpoints == (5, 5, 4)


def test_a_recommendation_has_its_price(tmp_path):
    campaign = _campaign(tmp_path, CUTOFF)
    machine = load_settings()
    present, dearer = cost_of_recommendation(campaign, "cutoff", 120 * RYDBERG, machine)
    assert present.calculations == dearer.calculations == 4
    assert dearer.core_hours == pytest.approx(2**1.5 * present.core_hours, rel=0.05)
    assert dearer.memory > present.memory
    driver = build_driver(campaign, "cutoff")
    finished, _ = drive_made_up(driver, _decaying())
    done, saved = cost_of_driver(driver, finished, machine)
    assert (done.calculations, saved.calculations) == (12, 8)
    assert saved.core_hours > done.core_hours * 8 / 12  # the finer points are the dear ones


def test_the_figure_has_a_part_for_each_quantity(tmp_path):
    section = CUTOFF.replace("energy: 1 meV/atom", "energy: 1 meV/atom, order_energy: 1 meV/f.u., moment: 0.01")
    driver = _driver(tmp_path, section)
    finished, _ = drive_made_up(driver, _decaying(order=2.0))
    figure = _summary(driver, finished, figures=True).figures["convergence"]
    assert [axis.get_ylabel().replace("\n", " ") for axis in figure.axes] == [
        "energy − last (meV/atom)", "order energy − last (meV/f.u.)", "|moment − last| (μB)",
    ]  # fmt: skip
    assert figure.axes[-1].get_xlabel() == "cutoff (Ry)"
