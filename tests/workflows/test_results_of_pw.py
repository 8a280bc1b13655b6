"""Results that a real pw.x and projwfc.x leave after ``submit`` and ``run``: spinors, and no spin at all."""

from __future__ import annotations

import json

import numpy as np
import pytest

from heterodft.analysis import LayerCharges, find_gap, read_folder
from heterodft.analysis.result import SHELLS, Result
from heterodft.errors import PseudopotentialError
from heterodft.templates.pseudopotentials import find_pseudopotentials

SPINORS = """\
name: spinors
materials:
  CrN: {prototype: rocksalt, a: 4.15}
structures:
  bulk: {stack: [{material: CrN, layers: 1}], normal: [0, 0, 1]}
magnetism: {orders: [FM], moments: {Cr: 3.0}, axes: [[1, 0, 0]], spin_orbit: true}
method: {protocol: fast, cutoff: 20 Ry, kspacing: 1.7, path_spacing: 2.0}
steps: [static, {dos: {kspacing: 1.7}}, bands]
"""

pytestmark = [pytest.mark.espresso, pytest.mark.slow]


def run(program, text):
    (program.folder / "c.yaml").write_text(text)
    program("submit", "c.yaml")
    program("run", "--quiet")
    found = {path.parent.name: path.parent for path in program.folder.glob("runs/*/*/*/*/*/result.json")}
    return found, {step: Result.load(folder) for step, folder in found.items()}


@pytest.fixture(scope="module")
def spinors(pw, heterodft_in, tmp_path_factory):
    try:
        find_pseudopotentials(["Cr", "N"], xc="PBE", relativistic="full")
    except PseudopotentialError as error:
        pytest.skip(str(error))
    return run(heterodft_in(tmp_path_factory.mktemp("spinors")), SPINORS)


def test_moments_with_spin_orbit_coupling_are_vectors_along_their_axis(spinors):
    static = spinors[1]["static"]
    vectors = static.sites["sphere"].vectors
    assert vectors[0, 0] > 1.0
    np.testing.assert_allclose(vectors[:, 1:], 0, atol=0.01)
    assert static.total_moment == pytest.approx(1.5, abs=0.2)
    state = static.request["state"]
    assert (state["verdict"], state["sites"], state["order"]) == ("kept", [], "FM-soc-100")
    assert spinors[1]["dos"].request["state"]["before"]["same"]
    assert (static.converged, static.method["noncollinear"], static.method["spin_orbit"]) == (True, True, True)


@pytest.mark.parametrize("step", ["static", "dos"])
def test_each_band_of_spinors_holds_one_electron(spinors, step):
    found = spinors[1][step]
    held = (found.bands.occupations * found.bands.weights[None, :, None]).sum()
    assert found.bands.energies.shape[0] == 1
    assert held == pytest.approx(found.electrons, abs=1e-6)
    assert find_gap(found).metal


def test_the_density_of_states_of_spinors_is_by_shell(spinors):
    dos = spinors[1]["dos"]
    assert (dos.dos.orbitals, dos.dos.values.shape[:3]) == (SHELLS, (2, 4, 1))
    # what is projected is less than all, by the spilling
    projected, total = dos.dos.values.sum(axis=(0, 1, 2)), dos.dos.total[0]
    below = dos.dos.energies < dos.fermi_level
    assert projected[below].sum() / total[below].sum() == pytest.approx(1 - dos.spilling, abs=0.02)
    assert sum(dos.sites["Löwdin"].charges) == pytest.approx(dos.electrons * (1 - dos.spilling), abs=0.01)


def test_bands_of_spinors_have_labels_and_projections(spinors):
    folders, results = spinors
    assert results["bands"].bands.labels[0] == "Γ"
    found = read_folder(folders["bands"], projections=True).bands
    assert found.projections.shape == (*found.energies.shape, 2, 4)
    assert 0.9 < found.projections[..., :19, :, :].sum(axis=(-1, -2)).mean() <= 1.0


def test_charges_of_a_run_without_spin_are_told_once(pw, heterodft, tiny_text):
    folders, results = run(heterodft, tiny_text.replace("[NM, FM]", "[NM]").replace("{dos: {kspacing: 0.9}}", "dos"))
    dos = results["dos"]
    charges = dos.sites["Löwdin"]
    assert charges.moments is None
    assert len(charges.charges) == 5
    assert sum(charges.charges) == pytest.approx(dos.electrons * (1 - dos.spilling), abs=0.01)
    np.testing.assert_allclose(charges.shell_charges.sum(axis=1), charges.charges, atol=2e-4)
    shown = json.loads(heterodft("analyze", str(folders["dos"]), "--json").stdout)
    assert shown["converged"] is None
    layers = LayerCharges.from_result(dos)
    assert layers.to_frame().filter(like="Löwdin charge").sum().iloc[0] == pytest.approx(sum(charges.charges))
