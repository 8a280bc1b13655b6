"""Shifts with the stand-in for VASP: through the runner, and folders that others made."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from vasp_library import write_library

from heterodft.analysis.linear_response import LinearResponse
from heterodft.analysis.shifted_results import read_shifted
from heterodft.errors import ReaderError
from heterodft.workflows.calculation import write_request
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.drivers import shifts
from heterodft.workflows.drivers.driver import Finished
from heterodft.workflows.runner import run_calculation
from heterodft.workflows.settings import Settings

pytestmark = pytest.mark.filterwarnings(
    "ignore::pymatgen.io.vasp.inputs.UnknownPotcarWarning",  # invented ones; real ones are licensed
)

FAKE = f"{sys.executable} {Path(__file__).parents[1] / 'fake_vasp.py'}"
CAMPAIGN = """\
name: v
code: vasp
materials:
  LaFeO3: {prototype: perovskite, a: 3.93}
structures:
  bulk: {stack: [{material: LaFeO3, layers: 2}]}
magnetism: {orders: [AFM-A], moments: {Fe: 4.0}}
hubbard: {Fe-3d: 0.0}
method: {protocol: fast, cutoff: 300 eV, kspacing: 1.0}
steps: [static]
"""
CHI0, CHI = np.array([[-0.30, 0.04], [0.04, -0.30]]), np.array([[-0.12, 0.01], [0.01, -0.12]])
"""What the stand-in answers."""


@dataclass(frozen=True)
class Asked:
    elements: tuple[str, ...] = ("Fe",)
    shifts: tuple[float, ...] = (-0.2, -0.1, 0.1, 0.2)
    structures: tuple[str, ...] = ()
    orders: tuple[str, ...] = ()


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """The folder of runs after the driver ended, and the driver."""
    write_library(tmp_path, monkeypatch)
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    settings = Settings("sqlite:///nowhere", "x", tmp_path / "runs", cores=1, vasp_command=FAKE, grace=2.0)
    driver = shifts.build(load_campaign(tmp_path / "c.yaml"), Asked(), notes=[])
    while not (decision := shifts.decide(driver, Finished(settings.runs))).ended:
        for chain in decision.chains:
            for request in chain:
                folder = settings.runs / request.path
                write_request(request, folder)
                run_calculation(folder, request.id, settings)
    return settings.runs, driver


def without_our_files(folder):
    for name in ("request.json", "result.json", "result.npz", "site_order.json"):
        (folder / name).unlink()


def test_u_of_vasp_is_that_of_its_answers_within_its_three_decimals(runs):
    folder, driver = runs
    [response] = shifts.responses(driver, Finished(folder)).values()
    assert isinstance(response, LinearResponse)
    np.testing.assert_allclose(response.chi0, CHI0, atol=3e-3)
    np.testing.assert_allclose(response.chi, CHI, atol=3e-3)
    exact = np.diag(np.linalg.inv(CHI0) - np.linalg.inv(CHI))
    assert (np.abs(response.u - exact) < 4 * response.u_error).all()
    assert (response.u_error > 0.01).all()
    assert response.shifted == (2,)  # its image has the opposite moment
    [row] = shifts.summarize(driver, Finished(folder)).data["recommended"]
    assert (row["element"], row["sites alike"], row["linear"]) == ("Fe", 2, True)


def test_folders_of_others_are_read_by_their_incar(runs):
    folder, driver = runs
    ours = next(iter(shifts.responses(driver, Finished(folder)).values()))
    folders = sorted(path.parent for path in folder.rglob("OUTCAR"))
    for each in folders:
        without_our_files(each)
    found = sorted((s.alpha, s.bare, s.shell) for each in folders if (s := read_shifted(each)).site is not None)
    assert found == [(a, bare, "d") for a in (-0.2, -0.1, 0.1, 0.2) for bare in (False, True)]
    theirs = LinearResponse.read(folders)
    np.testing.assert_allclose(theirs.u, ours.u, atol=1e-9)


def test_an_incar_that_shifts_more_than_one_atom_is_refused(runs):
    folder, _ = runs
    shifted = next(path.parent for path in folder.rglob("OUTCAR") if path.parent.name == "shift")
    without_our_files(shifted)
    incar = shifted / "INCAR"
    incar.write_text(incar.read_text().replace("LDAUJ = ", "LDAUJ = 0.3 "))
    with pytest.raises(ReaderError, match="must shift one atom, a block of its own, and both spins alike"):
        read_shifted(shifted)
