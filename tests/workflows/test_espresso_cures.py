"""Each handler cures a real failure of a real pw.x, provoked here, through Custodian as the runner starts it."""

from __future__ import annotations

import json
import re
import subprocess
import time
from dataclasses import replace

import pytest

from heterodft.analysis.energies import comparison_key
from heterodft.analysis.misfilling import find_misfilling
from heterodft.analysis.readers import read_folder
from heterodft.analysis.readers.espresso.output import read_pw_output
from heterodft.analysis.result import Result
from heterodft.errors import CalculationError
from heterodft.templates.espresso_edit import edit_namelists, read_value
from heterodft.workflows.calculation import write_request
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import campaign_chains
from heterodft.workflows.custodians.corrections import read_corrections, recorded_changes
from heterodft.workflows.custodians.diagnosis import diagnose
from heterodft.workflows.custodians.espresso import EspressoJob, EspressoValidator
from heterodft.workflows.custodians.espresso_handlers import MAX_ERRORS, espresso_handlers
from heterodft.workflows.custodians.espresso_occupations import FillingHandler
from heterodft.workflows.custodians.last_structure import read_last_structure
from heterodft.workflows.custodians.watch import run_watched
from heterodft.workflows.inputs import prepare_inputs
from heterodft.workflows.runner import run_calculation
from heterodft.workflows.settings_file import load_settings

CAMPAIGN = """\
name: cures
materials:
  SrTiO3: {prototype: perovskite, a: 3.905}
structures:
  bulk: {stack: [{material: SrTiO3, layers: 1}]}
magnetism: {orders: [NM, FM], moments: {Ti: 1.0}}
method: {protocol: fast, cutoff: 20 Ry, kspacing: 1.7}
steps: [relax, static]
"""
RELAXED_ENERGY = -279.9325
"""Ry, of the relaxation from the pushed positions in one go."""
TI = "Ti     0.5000000000    0.5000000000    0.5000000000"
PUSHED = (TI, "Ti     0.5000000000    0.5000000000    0.5300000000")
ON_OXYGEN = (TI, "Ti     0.5000000000    0.5000000000    0.0000000000")
FIXED = {"system->occupations": "fixed", "system->smearing": None, "system->degauss": None, "system->tot_charge": -1}

pytestmark = [pytest.mark.espresso, pytest.mark.slow]


@pytest.fixture(scope="module")
def requests(pw, tmp_path_factory):
    path = tmp_path_factory.mktemp("cures") / "c.yaml"
    path.write_text(CAMPAIGN)
    chains = campaign_chains(load_campaign(path))
    return {(r.about["order"], r.step): r for chain in chains for r in chain}


@pytest.fixture(scope="module")
def settings():
    return load_settings()


class Case:
    """One calculation in a folder, changed so that it fails."""

    def __init__(self, folder, pw, settings):
        self.folder, self.pw, self.settings = folder, pw, settings
        self.request = None

    def write(self, request, changes, *, replaced=None):
        self.request = request
        text = prepare_inputs(request, self.settings).files["pw.in"]
        if replaced:
            assert replaced[0] in text
            text = text.replace(*replaced)
        text = edit_namelists(text, {"electrons->startingpot": None, **changes})
        (self.folder / "pw.in").write_text(text)
        return self

    def run(self, command=None, deadline=None, filling=False, **options):
        handlers = [
            handler
            for handler in espresso_handlers(self.request, "pw.in", **options)
            if filling or not isinstance(handler, FillingHandler)  # SrTiO3 is an insulator in every case here
        ]
        run_watched(
            EspressoJob(command or [self.pw], "pw.in", deadline=deadline),
            self.folder,
            handlers=handlers,
            validators=[EspressoValidator("pw.in")],
            max_errors=MAX_ERRORS,
            explain=lambda: diagnose(self.folder, "pw.in"),
        )
        return read_pw_output(self.folder / "pw.out")

    def run_bare(self):
        subprocess.run(
            [self.pw, "-in", "pw.in"], cwd=self.folder, capture_output=True, check=True, stdin=subprocess.DEVNULL
        )

    def value(self, name):
        return read_value((self.folder / "pw.in").read_text(), name)

    @property
    def history(self):
        return [(c.errors[0], c.changes) for c in read_corrections(self.folder)]


@pytest.fixture
def case(tmp_path, pw, settings):
    return Case(tmp_path, pw, settings)


def test_without_handlers_the_same_failure_is_final(case, requests, monkeypatch):
    monkeypatch.setitem(globals(), "espresso_handlers", lambda *_, **__: [])
    case.write(requests["NM", "static"], {"electrons->electron_maxstep": 4})
    with pytest.raises(CalculationError, match="SCF not converged after 4 iterations"):
        case.run()


def test_a_cycle_that_is_too_short_goes_on_from_its_density_with_less_mixing(case, requests):
    printed = case.write(requests["NM", "static"], {"electrons->electron_maxstep": 5}).run()
    assert printed.converged
    assert case.history[0] == ("SCF not converged", {"electrons->mixing_beta": (0.4, 0.32)})
    assert "The initial density is read from file" in (case.folder / "pw.out").read_text()
    assert recorded_changes(case.folder, "pw.in")["electrons->mixing_beta"] < 0.4


def test_a_cell_with_vacuum_is_mixed_with_local_tf_first(case, requests):
    request = requests["NM", "static"]
    case.write(request, {"electrons->electron_maxstep": 5})
    high = {**request.structure, "lattice": [[4.0, 0, 0], [0, 4.0, 0], [0, 0, 20.0]]}
    case.request = replace(request, structure=high)
    assert case.run().converged
    assert case.history[0][1] == {"electrons->mixing_mode": (None, "local-TF")}


def test_too_few_bands_get_more_until_there_are_enough(case, requests):
    assert case.write(requests["NM", "static"], {"system->nbnd": 14}).run().converged
    assert case.history == [
        ("setup: too few bands", {"system->nbnd": (14, 18)}),
        ("setup: too few bands", {"system->nbnd": (18, 22)}),
    ]


def test_a_filled_highest_band_gets_company(case, requests):
    printed = case.write(requests["NM", "static"], {"system->nbnd": 20, "system->degauss": 0.3}).run()
    assert printed.converged
    assert {words for words, _ in case.history} == {"the highest band is filled"}
    assert int(case.value("system->nbnd")) == 20 + 4 * len(case.history)


def test_a_failed_diagonalization_is_done_another_way(case, requests):
    changes = {"electrons->diagonalization": "cg", "electrons->diago_cg_maxiter": 1}
    assert case.write(requests["NM", "static"], changes).run().converged
    assert case.history == [
        ("c_bands: too many bands are not converged", {"electrons->diagonalization": ("cg", "david")})
    ]


def test_loose_bands_on_a_fixed_density_are_diagonalized_another_way(case, requests):
    case.write(requests["NM", "static"], {}).run()
    loose = {"control->calculation": "nscf", "electrons->diagonalization": "cg", "electrons->diago_cg_maxiter": 5}
    text = edit_namelists((case.folder / "pw.in").read_text(), loose)
    (case.folder / "pw.in").write_text(text)
    assert case.run().finished
    assert [changes["electrons->diagonalization"] for _, changes in case.history][:1] == [("cg", "david")]
    assert "eigenvalues not converged" not in (case.folder / "pw.out").read_text()


def test_a_relaxation_out_of_steps_goes_on_with_the_history_of_bfgs(case, requests):
    printed = case.write(requests["NM", "relax"], {"control->nstep": 6}, replaced=PUSHED).run()
    assert printed.relaxed
    assert {words for words, _ in case.history} == {"not relaxed within the ionic steps"}
    assert "Atomic positions from file used" in (case.folder / "pw.out").read_text()
    assert printed.energy / 13.605693 == pytest.approx(RELAXED_ENERGY, abs=2e-3)


def test_a_cycle_that_fails_within_a_relaxation_goes_on_there(case, requests):
    printed = case.write(requests["NM", "relax"], {"electrons->electron_maxstep": 8}, replaced=PUSHED).run()
    assert printed.relaxed
    assert case.history == [("SCF not converged", {"electrons->electron_maxstep": (8, 16)})]
    assert printed.energy / 13.605693 == pytest.approx(RELAXED_ENERGY, abs=2e-3)


def test_a_relaxation_that_died_goes_on_from_its_last_structure(case, requests):
    flag = case.folder / "died"
    script = case.folder / "dying.sh"
    script.write_text(  # the first run ends after its second step as if the node had died
        f'#!/bin/bash\nif [ -e {flag} ]; then exec {case.pw} "$@"; fi\ntouch {flag}\n{case.pw} "$@" &\n'
        "while [ $(grep -c ATOMIC_POSITIONS pw.out) -lt 3 ]; do sleep 0.02; done\nkill -9 $!\nwait\nexit 137\n"
    )
    script.chmod(0o755)
    case.write(requests["NM", "relax"], {}, replaced=PUSHED)
    assert case.run([str(script)]).relaxed
    assert [words for words, _ in case.history] == ["the relaxation was interrupted"]
    assert PUSHED[1] not in (case.folder / "pw.in").read_text()


def test_bfgs_that_gives_up_gets_a_smaller_radius_and_less_noise(case, requests):
    noisy = {
        "control->forc_conv_thr": 3e-4,
        "control->etot_conv_thr": 1e-7,
        "control->nstep": 80,
        "electrons->conv_thr": 3e-4,
        "ions->upscale": 1.0,
    }
    assert case.write(requests["NM", "relax"], noisy, replaced=PUSHED).run().relaxed
    assert case.history[0][0] == "BFGS gave up"
    assert case.history[0][1]["ions->trust_radius_ini"] == (None, 0.1)


def test_a_cell_that_shrinks_much_gets_a_larger_table(case, requests):
    cell = {
        "control->calculation": "vc-relax",
        "cell->cell_dofree": "all",
        "cell->press": 600.0,
        "cell->cell_factor": 1.02,
        "cell->press_conv_thr": 200.0,
        "control->etot_conv_thr": 0.1,
    }
    assert case.write(requests["NM", "relax"], cell).run().relaxed
    assert case.history[0][1] == {"cell->cell_factor": (1.02, 1.53)}
    final = read_last_structure(case.folder, "pw.in")
    assert final.lattice.a < 3.905 / 1.02


def test_a_relaxed_cell_whose_final_cycle_failed_is_accepted_and_its_cycle_done_again(case, requests):
    case.write(requests["NM", "static"], {}).run_bare()
    cell = {
        "control->calculation": "vc-relax",
        "control->forc_conv_thr": 0.5,
        "cell->cell_dofree": "all",
        "cell->press_conv_thr": 9000.0,
        "electrons->electron_maxstep": 6,
        "electrons->startingpot": "file",
        "electrons->startingwfc": "file",
    }
    printed = case.write(requests["NM", "relax"], cell).run()
    assert printed.converged
    assert [words for words, _ in case.history] == [
        "relaxed, but the final SCF did not converge; the structure is accepted and that SCF done again"
    ]
    assert case.value("control->calculation") == "scf"
    assert "control->calculation" not in recorded_changes(case.folder, "pw.in")
    assert diagnose(case.folder, "pw.in") is None


def test_an_insulator_whose_fermi_level_is_among_its_bands_is_filled_as_one(case, requests):
    request = requests["NM", "static"]
    narrow = {"system->degauss": 0.005}  # for which the gap of 0.6 eV is a wide one
    case.write(request, {"system->smearing": "gauss", **narrow}).run(filling=True)
    wanted = read_folder(case.folder).energy
    assert case.history == []
    case.write(request, narrow).run()
    cold = read_folder(case.folder)
    found = find_misfilling(cold)
    if found is None:
        pytest.skip(f"pw.x {cold.version} finds the Fermi level in the gap by itself")
    assert found.is_wide
    assert found.energy == pytest.approx(cold.energy - wanted, rel=0.1)
    assert found.energy > 1e-3
    (case.folder / "custodian.json").unlink()
    case.write(request, narrow).run(filling=True)
    filled = read_folder(case.folder)
    assert filled.energy == pytest.approx(wanted, abs=1e-5)
    assert find_misfilling(filled) is None
    words = "the Fermi level of an insulator is among its bands"
    assert case.history == [(words, {"system->smearing": ("mv", "gauss")})]
    assert read_corrections(case.folder)[0].touches == (), "it stays comparable with those of its kind"


LEANING = """\
name: leaning
materials:
  SrTiO3: {prototype: perovskite, a: 3.905}
  LaAlO3: {prototype: perovskite, a: 3.79}
structures:
  s:
    normal: [1, 1, 1]
    stack: [{material: SrTiO3, layers: 1}, {material: LaAlO3, layers: 1}]
    defects: [{kind: V_O, where: {material: SrTiO3, layers: [1]}}]
magnetism: {orders: [NM]}
method: {protocol: fast, cutoff: 15 Ry, kspacing: 1.7}
steps: [static, {dos: {kpoints: [4, 4, 2]}}]
"""


def test_tetrahedra_on_a_mesh_without_the_symmetry_of_the_crystal(settings, tmp_path):
    (tmp_path / "c.yaml").write_text(LEANING)
    chains = campaign_chains(load_campaign(tmp_path / "c.yaml"))
    (chain,) = [chain for chain in chains if chain[0].about["name"] == "s-V_O_1"]
    for request in chain:
        folder = tmp_path / request.path
        write_request(request, folder)
        result = run_calculation(folder, request.id, settings)
    (correction,) = result.corrections
    assert correction["errors"] == ["tetra_init: cannot remap grid on k-point list"]
    assert correction["changes"] == {"system->nosym": [None, True]}
    assert correction["touches"] == []
    assert result.dos is not None
    assert result.electrons == pytest.approx(66)


def test_a_lost_state_is_tried_once_more_only_when_asked(case, requests):
    request = requests["FM", "static"]
    assert case.write(request, {}).run().converged
    assert case.history == []
    assert case.write(request, {}).run(reseed=True).converged
    (words, changes), *more = case.history
    assert words == "not in the state asked for: collapsed; again with larger moments"
    assert more == []
    assert all(new == pytest.approx(1.5 * old, abs=1e-5) for old, new in changes.values())


@pytest.mark.parametrize(
    ("changes", "replaced", "reason"),
    [
        ({"system->ntyp": 11}, None, "ntyp too large, increase NSX; pw.x allows 10 species"),
        (FIXED, None, "charge is wrong: smearing is needed; the cell is a metal"),
        ({}, ON_OXYGEN, "overlap!; two atoms sit in the same place"),
        ({}, ("Ti.upf", "Xx.upf"), "Xx.upf not found; a pseudopotential is missing"),
        ({"system->nr1": 4, "system->nr2": 4, "system->nr3": 4}, None, "too few plane waves; no FFT grid fits"),
    ],
)
def test_what_has_no_cure_stops_at_once_and_says_what_to_do(case, requests, changes, replaced, reason):
    case.write(requests["NM", "static"], changes, replaced=replaced)
    with pytest.raises(CalculationError, match=re.escape(reason)):
        case.run()
    assert case.history == []
    assert len(json.loads((case.folder / "custodian.json").read_text())) == 1


def test_a_stop_by_the_time_limit_is_not_corrected(case, requests):
    case.write(requests["NM", "relax"], {}, replaced=PUSHED)
    with pytest.raises(CalculationError, match="was stopped"):
        case.run(deadline=time.time() + 11.5)  # a second for pw.x, ten to write its checkpoint
    assert case.value("control->max_seconds") == "1"
    assert case.history == []


def test_a_cycle_that_oscillates_is_stopped_and_mixed_with_more_care(case, requests, monkeypatch):
    from heterodft.workflows.custodians import watch

    monkeypatch.setattr(watch, "_MONITOR_SECONDS", 0.2)
    wild = {"electrons->mixing_beta": 1.95, "electrons->mixing_ndim": 1, "electrons->electron_maxstep": 400}
    printed = case.write(requests["NM", "static"], wild).run()
    assert printed.converged
    words, changes = case.history[0]
    assert words == "the SCF cycle oscillates"
    assert changes["electrons->mixing_beta"] == (1.95, 0.975)


def test_a_calculation_of_the_queue_is_corrected_and_its_result_says_so(requests, settings, tmp_path):
    request = requests["NM", "static"]
    request = replace(request, parent=None, settings=replace(request.settings, max_scf_steps=5))
    write_request(request, tmp_path)
    result = run_calculation(tmp_path, request.id, settings)
    assert result.converged
    (correction,) = Result.load(tmp_path).corrections[:1]
    assert correction["changes"] == {"electrons->mixing_beta": [0.4, 0.32]}
    assert correction["touches"] == []
    assert comparison_key(result) is not None
