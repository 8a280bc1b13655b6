"""Shifts with the real pw.x against hp.x, which computes the same response by perturbation theory."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, replace

import numpy as np
import pytest

from heterodft.analysis.linear_response import LinearResponse
from heterodft.workflows.calculation import write_request
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.drivers import shifts
from heterodft.workflows.drivers.driver import Finished
from heterodft.workflows.runner import run_calculation
from heterodft.workflows.settings_file import load_settings

pytestmark = [pytest.mark.espresso, pytest.mark.slow]

TITANATE = """\
name: r
code: espresso
materials:
  SrTiO3: {prototype: perovskite, a: 3.905}
structures:
  bulk: {stack: [{material: SrTiO3, layers: 1}]}
magnetism: {orders: [NM]}
method: {protocol: fast, cutoff: 20 Ry, kspacing: 1.7, shift_mesh: false}
steps: [static]
"""


@dataclass(frozen=True)
class Asked:
    elements: tuple[str, ...]
    shifts: tuple[float, ...] = (-0.1, 0.1)
    structures: tuple[str, ...] = ()
    orders: tuple[str, ...] = ()


@pytest.fixture
def respond(tmp_path, pw):
    """Drive to the end; return the response, the settings and the driver."""

    def run(text, element):
        (tmp_path / "c.yaml").write_text(text)
        settings = replace(load_settings(runs=tmp_path / "runs"), cores=1)
        driver = shifts.build(load_campaign(tmp_path / "c.yaml"), Asked((element,)), notes=[])
        while not (decision := shifts.decide(driver, Finished(settings.runs))).ended:
            for chain in decision.chains:
                for request in chain:
                    folder = settings.runs / request.path
                    write_request(request, folder)
                    run_calculation(folder, request.id, settings)
        [response] = shifts.responses(driver, Finished(settings.runs)).values()
        assert isinstance(response, LinearResponse)
        return response, settings.runs / driver.points[0].chains[0][-1].path

    return run


def first(text, element, card):
    """Move the rows of an element to the front of a card, as hp.x wants sites with U."""
    rows = re.search(rf"{card}.*\n((?:.+\n)+)", text)[1]
    return text.replace(
        rows, "".join(sorted(rows.splitlines(keepends=True), key=lambda r: not r.startswith(element)))
    )


def perturbation_theory(static, element, folder):
    """Return χ0 and χ of hp.x with one q-point, in the cell of a static run."""
    if shutil.which("hp.x") is None:
        pytest.skip("hp.x is not installed")
    text = (static / "pw.in").read_text()
    kinds = [row.split()[0] for row in re.search(r"ATOMIC_SPECIES\n((?:.+\n)+)", text)[1].splitlines()]
    text = first(first(text, element, "ATOMIC_SPECIES"), element, "ATOMIC_POSITIONS")
    order = sorted(kinds, key=lambda kind: not kind.startswith(element))
    text = re.sub(r"(hubbard_u)\((\d+)\)", lambda m: f"{m[1]}({order.index(kinds[int(m[2]) - 1]) + 1})", text)
    # hp.x takes smearing only of metals.
    text = re.sub(r"^   (smearing|degauss|nbnd) .*\n", "", text, flags=re.MULTILINE).replace("'smearing'", "'fixed'")
    folder.mkdir()
    (folder / "pw.in").write_text(text)
    (folder / "hp.in").write_text("&INPUTHP\n prefix='pwscf', outdir='./', iverbosity=2, conv_thr_chi=1e-6\n/\n")
    for program in ("pw", "hp"):
        with (folder / f"{program}.out").open("w") as out:
            subprocess.run([f"{program}.x", "-in", f"{program}.in"], cwd=folder, stdout=out, check=True, timeout=300)
    printed = (folder / "pwscf.Hubbard_parameters.dat").read_text()
    matrices = {}
    for name in ("chi0", "chi"):
        numbers = re.search(rf"^\s+{name} matrix :\n([-\d.\s]+)", printed, re.MULTILINE)[1].split()
        size = round(len(numbers) ** 0.5)
        matrices[name] = np.array(numbers, dtype=float).reshape(size, size)
    return matrices["chi0"], matrices["chi"]


@pytest.mark.parametrize("hubbard", ["", "hubbard: {Ti-3d: 4.0}\n"], ids=["no U", "U"])
def test_the_response_is_that_of_perturbation_theory(respond, tmp_path, hubbard):
    """With a U as well: its potential is held while the density answers."""
    response, static = respond(TITANATE + hubbard, "Ti")
    chi0, chi = perturbation_theory(static, "Ti", tmp_path / "hp")
    np.testing.assert_allclose(response.chi0, chi0, rtol=5e-3)
    np.testing.assert_allclose(response.chi, chi, rtol=5e-3)
    expected = 1 / chi0[0, 0] - 1 / chi[0, 0]
    assert abs(response.u[0] - expected) < max(2 * response.u_error[0], 0.01 * expected)
    assert response.u_error[0] < 0.02 * expected
    assert not response.doubtful
