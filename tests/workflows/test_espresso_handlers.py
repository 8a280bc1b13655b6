"""What handlers of pw.x see in its texts and what they change; the cures themselves are tried in test_espresso_cures.

Texts marked real were printed by pw.x 6.7 here; the others are from its source or from public threads.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from heterodft.templates.espresso_edit import read_value
from heterodft.workflows.calculation import canonical_structure
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import campaign_chains
from heterodft.workflows.custodians.diagnosis import diagnose
from heterodft.workflows.custodians.espresso_handlers import espresso_handlers
from heterodft.workflows.custodians.espresso_ions import BfgsHandler, CellFactorHandler, SymmetryHandler
from heterodft.workflows.custodians.espresso_scf import DiagonalizationHandler, ScfHandler, SloshingMonitor
from heterodft.workflows.custodians.oscillation import oscillates, still_falls
from heterodft.workflows.custodians.symptoms import BOXES, read_ending

INPUT = """\
&CONTROL
   calculation      = '{calculation}'
/
&SYSTEM
   nat              = 1
   nbnd             = 20
   degauss          = 0.01
   occupations      = 'smearing'
   starting_magnetization(1) = 0.4
/
&ELECTRONS
   conv_thr         = 1e-06
   mixing_beta      = 0.4
/
&IONS
   ion_dynamics     = 'bfgs'
/
CELL_PARAMETERS angstrom
    4.0000000000      0.0000000000      0.0000000000
    0.0000000000      4.0000000000      0.0000000000
    0.0000000000      0.0000000000      4.0000000000

ATOMIC_POSITIONS crystal
Fe1    0.0000000000    0.0000000000    0.0000000000
"""
BOX = """\
     Self-consistent Calculation

 %%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%
     Error in routine {routine} (1):
     {message}
 %%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%

     stopping ...
"""
STEP = """\
!    total energy              =    -280.0 Ry

ATOMIC_POSITIONS (crystal)
Fe1      0.0100000000   0.0000000000   0.0200000000
"""
FINAL = f"{STEP}     Final scf calculation at the relaxed structure.\n"
MANY_BANDS = "     number of Kohn-Sham states=           52\n     number of k points=     6 (tetrahedron method)\n"
LOOSE = "     c_bands:  3 eigenvalues not converged\n"


def iterations(values, totals=()):
    """Lines of a cycle with these accuracies and total moments."""
    lines = ["     Self-consistent Calculation"]
    for number, value in enumerate(values, start=1):
        lines += [f"     iteration # {number:2}     ecut=    20.00 Ry     beta= 0.40"]
        if totals:
            lines += [f"     total magnetization       =  {totals[number - 1]:6.2f} Bohr mag/cell"]
            lines += [f"     absolute magnetization    =  {4.0:6.2f} Bohr mag/cell"]
        lines += [f"     estimated scf accuracy    <   {value:.8f} Ry"]
    return "\n".join(lines) + "\n"


def not_achieved(values, **more):
    return (
        iterations(values, **more) + f"\n     convergence NOT achieved after {len(values):3} iterations: stopping\n"
    )


FALLING = [0.5**n for n in range(24)]
SWINGING = [0.3 if n % 2 else 0.1 for n in range(40)]
STUCK = [0.01] * 24
END = "\n   JOB DONE.\n"


@pytest.fixture
def ended(tmp_path):
    """Write a run that has ended, and return its folder."""

    def write(text, *, calculation="scf", errors="", extra=()):
        asked = INPUT.format(calculation=calculation)
        for old, new in extra:
            assert old in asked
            asked = asked.replace(old, new)
        for number, (name, content) in enumerate([("pw.in", asked), ("pw.out", text), ("pw.err", errors)]):
            (tmp_path / name).write_text(content)
            os.utime(tmp_path / name, ns=(10**18 + number, 10**18 + number))
        return tmp_path

    return write


@pytest.fixture(scope="module")
def a_request(tmp_path_factory, tiny_text):
    path = tmp_path_factory.mktemp("request") / "c.yaml"
    path.write_text(tiny_text)
    return campaign_chains(load_campaign(path))[1][0]


POOL = "     Band Structure Calculation\n     Davidson diagonalization with overlap\n"
POOL_OF_BANDS = f"{POOL}\n     Computing kpt #:     1  of    45 on this pool\n"
ABORT = "MPI_ABORT was invoked on rank 1 in communicator MPI_COMM_WORLD\nwith errorcode 202.\n"
"""Real: `S matrix not positive definite` in the second pool, which prints nothing."""
LOST = "[vm:32382] [[4736,0],0] ORTE_ERROR_LOG: Out of resource in file ../../../orte/util/show_help.c at line 507\n"


@pytest.mark.parametrize("text", [POOL_OF_BANDS, POOL])
@pytest.mark.parametrize("errors", [ABORT, LOST])
def test_an_abort_in_the_diagonalization_of_another_pool_gets_the_next_diagonalization(
    ended, a_request, text, errors
):
    folder = ended(text, calculation="nscf", errors=errors)
    assert owners(folder, a_request) == ["DiagonalizationHandler"]
    handler = next(h for h in espresso_handlers(a_request, "pw.in") if type(h).__name__ == "DiagonalizationHandler")
    handler.correct(str(folder))
    assert "paro" in (folder / "pw.in").read_text()


@pytest.mark.parametrize(
    "text", [f"{POOL_OF_BANDS}     End of band structure calculation\n", "     Writing output\n"]
)
def test_an_abort_elsewhere_is_left_alone(ended, a_request, text):
    assert owners(ended(text, errors=ABORT), a_request) == ["UnrecoverableHandler"]


KILLERS = ("slurmstepd: error: Detected 1 oom-kill event(s)\n", "exited on signal 9 (Killed).\n")


@pytest.mark.parametrize("words", KILLERS)
def test_want_of_memory_in_a_diagonalization_is_no_failure_of_it(ended, a_request, words):
    assert owners(ended(POOL_OF_BANDS, calculation="nscf", errors=LOST + words), a_request) == [
        "UnrecoverableHandler"
    ]


OWNERS = {
    "": [],
    "bands": ["BandsHandler"],
    "charge": ["BandsHandler"],
    "diagonalization": ["DiagonalizationHandler"],
    "loose-bands": ["DiagonalizationHandler"],
    "scf": ["ScfHandler"],
    "final-scf": ["FinalScfHandler"],
    "bfgs": ["BfgsHandler"],
    "ion-steps": ["IonStepsHandler"],
    "interrupted": ["InterruptedHandler"],
    "radial-fft": ["CellFactorHandler"],
    "symmetry": ["SymmetryHandler"],
    "tetrahedra": ["TetrahedraHandler"],
    "unrecoverable": ["UnrecoverableHandler"],
    "unknown": ["UnrecoverableHandler"],
}


def owners(folder, request):
    return [type(h).__name__ for h in espresso_handlers(request, "pw.in") if h.check(str(folder))]


def log(folder, handler, correction):
    """Keep a correction as Custodian does."""
    path = folder / "custodian.json"
    entries = json.loads(path.read_text()) if path.exists() else []
    entry = {**correction, "handler": {"@class": type(handler).__name__, "file": handler.file}}
    path.write_text(json.dumps([*entries, {"job": {"file": "pw.in"}, "corrections": [entry]}]))


@pytest.mark.parametrize(
    ("routine", "message", "symptom"),
    [
        ("setup", "too few bands", "bands"),  # real
        ("setup", "too few spin up bands", "bands"),
        ("efermig", "internal error, cannot bracket Ef", "bands"),
        ("c_bands", "too many bands are not converged", "diagonalization"),  # real
        (" cdiaghg ", "S matrix not positive definite", "diagonalization"),
        (" rdiaghg ", "problems computing cholesky", "diagonalization"),
        (" cdiaghg ", "eigenvectors failed to converge", "diagonalization"),
        ("cdiagh", "diagonalization (ZHEEV) failed", "diagonalization"),
        ("electrons", "charge is wrong", "charge"),
        ("electrons", "charge is wrong: smearing is needed", "unrecoverable"),  # real
        (
            "scale_h",
            "Not enough space allocated for radial FFT: try restarting with a larger cell_factor.",
            "radial-fft",
        ),  # real
        ("checkallsym", "not orthogonal operation", "symmetry"),
        ("tetra_init", "cannot remap grid on k-point list", "tetrahedra"),  # real
        ("bfgs", "dE0s is positive which should never happen", "bfgs"),
        ("bfgs", "NR step-length unreasonably short", "bfgs"),
        (" system_checkin ", "ntyp too large, increase NSX", "unrecoverable"),  # real
        ("check_atoms", "atoms #   2 and #   3 overlap!", "unrecoverable"),  # real
        ("set_hubbard_l", "pseudopotential not yet inserted", "unrecoverable"),
        ("diag_bands", "too many bands, or too few plane waves", "unrecoverable"),  # real
        (" readpp ", "file /usr/share/espresso/pseudo/Xx.upf not found", "unrecoverable"),  # real
        (" read_namelists ", 'bad line in namelist &cell: "1 1 1 0 0 0"', "unrecoverable"),  # real
        (" davcio ", "error writing file ./pwscf.wfc1", "unrecoverable"),
        ("allocate_fft", "cannot allocate memory (ps)", "unrecoverable"),
        ("n_plane_waves", "No plane waves found: running on too many processors?", "unrecoverable"),
        ("a_new_routine", "something nobody has seen", "unknown"),
    ],
)
def test_an_error_box_has_one_symptom_and_what_is_known_has_a_remedy(ended, a_request, routine, message, symptom):
    folder = ended(BOX.format(routine=routine, message=message))
    assert read_ending(folder, "pw.in").symptom == symptom
    assert owners(folder, a_request) == OWNERS[symptom]
    reason = diagnose(folder, "pw.in")
    assert message.split(":")[0] in reason
    assert (";" in reason) == (symptom != "unknown")


@pytest.mark.parametrize(
    ("text", "calculation", "symptom"),
    [
        (not_achieved(STUCK) + END, "scf", "scf"),
        (not_achieved(STUCK) + END, "relax", "scf"),
        (not_achieved(STUCK) + "     Maximum CPU time exceeded\n" + END, "scf", ""),
        (iterations(STUCK) + "     Program stopped by user request\n" + END, "relax", ""),
        (FINAL + not_achieved(STUCK) + END, "vc-relax", "final-scf"),
        (STEP + "     history already reset at previous step: stopping\n" + END, "relax", "bfgs"),
        (STEP + "     The maximum number of steps has been reached.\n" + END, "relax", "ion-steps"),
        (STEP + iterations(STUCK), "relax", "interrupted"),
        (iterations(STUCK), "scf", ""),
        (not_achieved(STUCK).replace("     estimated", f"{LOOSE}     estimated") + END, "scf", "diagonalization"),
        (LOOSE + END, "nscf", "loose-bands"),
        (MANY_BANDS + LOOSE * 2 + END, "nscf", ""),  # 6 of 312
        (MANY_BANDS + LOOSE * 3 + END, "nscf", "loose-bands"),
        ("     convergence has been achieved in  9 iterations\n" + END, "scf", ""),
    ],
)  # fmt: skip
def test_an_ending_without_a_box_has_at_most_one_symptom(ended, a_request, text, calculation, symptom):
    folder = ended(text, calculation=calculation)
    assert read_ending(folder, "pw.in").symptom == symptom
    assert owners(folder, a_request) == OWNERS[symptom]


@pytest.mark.parametrize(
    ("errors", "remedy"),
    [
        ("slurmstepd: error: Detected 1 oom-kill event(s) in StepId=7.0.", "not enough memory"),
        ("mpirun noticed that process rank 1 exited on signal 9 (Killed).", "most often for lack of memory"),
        ("Error: cannot allocate memory", "not enough memory"),
    ],
)
def test_a_program_that_the_system_ended_says_so_and_is_not_started_again(ended, a_request, errors, remedy):
    folder = ended(iterations(STUCK), errors=errors)
    assert remedy in diagnose(folder, "pw.in")
    assert owners(folder, a_request) == ["UnrecoverableHandler"]


def test_of_all_handlers_only_one_corrects_a_run(ended, a_request):
    folder = ended(not_achieved(SWINGING) + END)
    handlers = espresso_handlers(a_request, "pw.in")
    took = []
    for handler in handlers:
        if handler.check(str(folder)):
            handler.correct(str(folder))
            took.append(type(handler).__name__)
    assert took == ["SloshingMonitor"]


def test_a_run_that_ended_well_is_left_alone(ended, a_request):
    folder = ended("     convergence has been achieved in  9 iterations\n" + END)
    assert not any(h.check(str(folder)) for h in espresso_handlers(a_request, "pw.in", physics=True, reseed=True))


def test_programs_other_than_pw_have_no_handlers(a_request):
    assert espresso_handlers(a_request, "projwfc.in") == []


def test_a_cycle_that_swings_oscillates_and_one_that_falls_or_stands_still_does_not():
    assert oscillates(iterations(SWINGING))
    assert not oscillates(iterations(FALLING))
    assert not oscillates(iterations(STUCK))
    assert not oscillates(iterations(SWINGING[:10]))
    assert not oscillates(iterations(SWINGING) + iterations(FALLING))


def test_a_moment_that_swings_is_an_oscillation_although_the_accuracy_stands_still():
    totals = [1.0 if n % 2 else -1.0 for n in range(40)]
    assert oscillates(iterations([0.01] * 40, totals=totals))
    assert not oscillates(iterations([0.01] * 40, totals=[1.0 + 0.01 * (n % 2) for n in range(40)]))


def test_a_cycle_that_still_converges_is_given_time_before_anything_is_changed(ended):
    folder, handler = ended(not_achieved(FALLING) + END), ScfHandler()
    assert still_falls(not_achieved(FALLING))
    for expected in ({"electrons->electron_maxstep": 200}, {"electrons->electron_maxstep": 400}, None):
        correction = handler.correct(str(folder))
        (action,) = [one["action"] for one in correction["actions"]]
        assert action["_continue"] == "checkpoint"
        assert action["_set"] == (expected or {"electrons->mixing_beta": 0.32})
        log(folder, handler, correction)
    assert read_value((folder / "pw.in").read_text(), "control->restart_mode") == "restart"


def test_mixing_is_lowered_to_an_end_and_by_default_nothing_else_is_touched(ended):
    folder, handler = ended(not_achieved(STUCK) + END), ScfHandler()
    betas = []
    while (correction := handler.correct(str(folder)))["actions"]:
        (action,) = [one["action"] for one in correction["actions"]]
        assert set(action["_set"]) == {"electrons->mixing_beta"}
        betas.append(action["_set"]["electrons->mixing_beta"])
        log(folder, handler, correction)
    assert betas[:3] == [0.32, 0.256, 0.2048]
    assert len(betas) == handler.max_num_corrections


def test_smearing_is_widened_only_as_the_last_rung_and_only_when_allowed(ended):
    folder = ended(not_achieved(STUCK) + END, extra=[("mixing_beta      = 0.4", "mixing_beta      = 0.05")])
    assert ScfHandler().correct(str(folder))["actions"] is None
    handler = ScfHandler(physics=True)
    correction = handler.correct(str(folder))
    assert correction["actions"][0]["action"]["_set"] == {"system->degauss": 0.02}
    log(folder, handler, correction)
    assert handler.correct(str(folder))["actions"] is None


def test_a_swinging_cycle_gets_a_longer_history_of_its_mixing(ended):
    action = ScfHandler().correct(str(ended(not_achieved(SWINGING) + END)))["actions"][0]["action"]
    assert action["_set"] == {"electrons->mixing_beta": 0.32, "electrons->mixing_ndim": 12}
    assert action["_continue"] == "scratch"


@pytest.mark.parametrize(("beta", "expected"), [("0.2", {"electrons->mixing_beta": 0.3}), ("0.4", {})])
@pytest.mark.parametrize("handler", [ScfHandler, SloshingMonitor])
def test_a_swinging_cycle_with_screened_mixing_goes_back_to_plain_mixing(ended, handler, beta, expected):
    mixing = f"mixing_beta      = {beta}\n   mixing_mode      = 'local-TF'"
    folder = ended(not_achieved(SWINGING) + END, extra=[("mixing_beta      = 0.4", mixing)])
    action = handler(vacuum=True).correct(str(folder))["actions"][0]["action"]
    assert action == {"_set": {"electrons->mixing_mode": "plain"} | expected, "_continue": "scratch"}


def test_a_running_cycle_is_stopped_only_once_it_clearly_swings(ended):
    monitor = SloshingMonitor()
    assert monitor.is_monitor
    assert not monitor.check(str(ended(iterations(SWINGING[:29]))))
    assert not monitor.check(str(ended(iterations(FALLING * 2))))
    folder = ended(iterations(SWINGING))
    assert monitor.check(str(folder))
    action = monitor.correct(str(folder))["actions"][0]["action"]
    assert action == {
        "_set": {"electrons->mixing_beta": 0.2, "electrons->mixing_ndim": 12},
        "_continue": "scratch",
    }
    assert not monitor.check(str(folder))  # corrected; the next look is at the next run


def test_diagonalizations_are_tried_in_turn_and_each_once(ended):
    folder = ended(BOX.format(routine="c_bands", message="too many bands are not converged"))
    handler, names = DiagonalizationHandler(), []
    while (correction := handler.correct(str(folder)))["actions"]:
        names.append(correction["actions"][0]["action"]["_set"]["electrons->diagonalization"])
        log(folder, handler, correction)
    assert names == ["paro", "cg"]


def test_bfgs_is_followed_by_a_smaller_radius_and_then_by_damped_dynamics(ended):
    folder = ended(STEP + "     history already reset at previous step: stopping\n" + END, calculation="vc-relax")
    handler = BfgsHandler()
    first, second = (handler.correct(str(folder))["actions"][0]["action"] for _ in range(2))
    assert first["_set"] == {
        "ions->trust_radius_ini": 0.1,
        "ions->trust_radius_min": 1e-4,
        "electrons->conv_thr": 1e-7,
    }
    assert second["_set"]["ions->ion_dynamics"] == "damp"
    assert second["_set"]["cell->cell_dynamics"] == "damp-w"
    assert handler.correct(str(folder))["actions"] is None
    assert "Fe1    0.0100000000    0.0000000000    0.0200000000" in (folder / "pw.in").read_text()


def test_the_table_of_radial_functions_does_not_grow_for_ever(ended):
    text = STEP + BOX.format(routine="scale_h", message="Not enough space allocated for radial FFT")
    folder, handler = ended(text, calculation="vc-relax"), CellFactorHandler()
    factors = []
    while (correction := handler.correct(str(folder)))["actions"]:
        factors.append(correction["actions"][0]["action"]["_set"]["cell->cell_factor"])
    assert factors == [3.0, 4.5, 6.75, 10.125]


def test_symmetry_is_switched_off_only_when_allowed(ended):
    text = STEP + BOX.format(routine="checkallsym", message="not orthogonal operation")
    folder, handler = ended(text, calculation="vc-relax"), SymmetryHandler()
    correction = handler.correct(str(folder))
    assert correction["actions"][0]["action"] == {"_continue": "positions"}
    log(folder, handler, correction)
    assert handler.correct(str(folder))["actions"] is None
    allowed = SymmetryHandler(physics=True)
    assert allowed.correct(str(folder))["actions"][0]["action"]["_set"] == {"system->nosym": True}


def test_only_a_cell_with_vacuum_is_screened(a_request):
    def screened(structure):
        asked = replace(a_request, structure=structure)
        return next(h.vacuum for h in espresso_handlers(asked, "pw.in") if isinstance(h, ScfHandler))

    assert not screened(a_request.structure)
    assert screened({**a_request.structure, "lattice": [[4.0, 0, 0], [0, 4.0, 0], [0, 0, 20.0]]})
    long = a_request.to_structure().make_supercell([1, 1, 6], in_place=False)
    assert not screened(canonical_structure(long)), "full of atoms"
    # 7 Å along the vector, which leans, are 3.5 Å between the planes.
    assert not screened({**a_request.structure, "lattice": [[4.0, 0, 0], [0, 4.0, 0], [0, 12.1, 7.0]]})


def test_by_default_no_handler_can_change_the_physics(a_request):
    def switches(**options):
        return [getattr(h, "physics", False) for h in espresso_handlers(a_request, "pw.in", **options)]

    assert not any(switches())
    assert any(switches(physics=True))


def test_every_handler_survives_the_journey_through_custodians_log(a_request):
    from monty.json import MontyDecoder, MontyEncoder

    for handler in espresso_handlers(a_request, "pw.in", physics=True, reseed=True):
        again = MontyDecoder().decode(json.dumps(handler, cls=MontyEncoder))
        assert vars(again) == vars(handler)


def test_every_remedy_is_one_line_that_says_what_to_do():
    assert all(remedy and "\n" not in remedy for _, _, remedy in BOXES)
