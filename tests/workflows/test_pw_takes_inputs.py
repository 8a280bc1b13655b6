"""The real pw.x takes what is written for it, and prints back what was asked for, atom by atom.

One SCF iteration at 15 Ry and Gamma: enough for pw.x to read, check and set up everything, not for numbers.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from heterodft.analysis.readers import read_folder
from heterodft.analysis.readers.espresso.hubbard import printed_occupations
from heterodft.errors import InputError
from heterodft.structures import Block, assign_moments, build_material, build_superlattice, enumerate_defects
from heterodft.templates.espresso import program_of, program_version, write_espresso
from heterodft.templates.hubbard import HubbardU, StartingOccupations, resolve_hubbard
from heterodft.templates.protocols import resolve_settings
from heterodft.templates.pseudopotentials import find_pseudopotentials, known_families
from heterodft.templates.setup import Setup
from heterodft.units import RYDBERG
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import campaign_chains

SHARED_CAMPAIGNS = Path(__file__).parents[3] / "shared" / "campaigns"
STO = build_superlattice([Block(build_material("SrTiO3"), 1)])
LAYERS = build_superlattice(
    [Block(build_material("SrTiO3"), 1), Block(build_material("LaAlO3"), 1)], in_plane="SrTiO3"
)
NITRIDE = build_superlattice([Block(build_material("CrN"), 2)])
U = HubbardU("Ti", "3d", 4.0)
LOW = {"cutoff": 15 * RYDBERG, "kpoints": (1, 1, 1), "shift_mesh": False}
STOPPED_EARLY = 2
ITERATIONS_DONE = re.compile(r"iteration #  1 ")

pytestmark = [pytest.mark.espresso, pytest.mark.slow]


@dataclass(frozen=True)
class Printed:
    """What pw.x prints of its sites: kinds, and by kind valence, magnetization over valence, U."""

    kinds: list[str]
    positions: np.ndarray
    valence: dict[str, float]
    magnetization: dict[str, float]
    u: dict[str, float]

    @property
    def elements(self):
        return [re.sub(r"\d", "", kind) for kind in self.kinds]

    @property
    def moments(self):
        return [self.magnetization[kind] * self.valence[kind] for kind in self.kinds]

    def site_u(self):
        return [self.u.get(kind, 0.0) for kind in self.kinds]


def table(text, head):
    """Rows under a heading, up to an empty line, by their first word."""
    found = re.search(rf"{head}[^\n]*\n((?:.*\S.*\n)*)", text)
    rows = [row.split() for row in found[1].splitlines()] if found else []
    return {row[0]: row[1:] for row in rows}


def printed(text):
    sites = re.findall(r"^ +\d+ +(\w+) +tau\( *\d+\) = \(([^)]*)\)", text.split("(cryst. coord.)")[1], re.MULTILINE)
    kinds = list(table(text, "atomic species   valence"))
    full = {kinds[int(n) - 1]: float(u) for n, u in re.findall(r"U\( *(\d+)\) = +(\S+) +J\(", text)}
    simplified = {k: float(row[1]) for k, row in table(text, "atomic species    L          U").items()}
    return Printed(
        kinds=[kind for kind, _ in sites],
        positions=np.array([[float(x) for x in place.split()] for _, place in sites]),
        valence={k: float(row[0]) for k, row in table(text, "atomic species   valence").items()},
        magnetization={k: float(row[0]) for k, row in table(text, "atomic species   magnetization").items()},
        u=full or simplified,
    )


@pytest.fixture
def run(pw, tmp_path):
    """Write a setup and run pw.x on it; the output of one that was accepted."""
    version = program_version(pw)
    if version >= (7, 1):
        pytest.skip(f"pw.x {version[0]}.{version[1]} prints other tables than those compared here")

    def one(setup, *, relativistic=None, codes=(0, STOPPED_EARLY)):
        more = {} if relativistic is None else {"relativistic": relativistic}
        files = find_pseudopotentials(setup.elements, xc=setup.settings.xc, **more)
        deck = write_espresso(setup, files, version=version)
        text = ""
        for name, content in deck.files.items():
            (tmp_path / name).write_text(content)
            text = launch(
                tmp_path, str(Path(pw).with_name(program_of(name))), name, codes, ranks=1 if deck.serial else 2
            )
            if name == "pw.in":
                assert "Error in routine" not in text
                kept = text
        return kept if "pw.in" in deck.files else text

    return one


def launch(folder, program, name, codes, *, ranks):
    several = ranks > 1 and shutil.which("mpirun")
    start = ["mpirun", "-np", str(ranks), "--allow-run-as-root", "--oversubscribe"] if several else []
    done = subprocess.run(
        [*start, program, "-in", name], cwd=folder, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode in codes, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def cheap(setup, **changes):
    """The same at a low cutoff, at Gamma, for one iteration."""
    low = {"cutoff": 15 * RYDBERG, "density_cutoff": 60 * RYDBERG, "kpoints": (1, 1, 1), "shift": (0, 0, 0)}
    return replace(setup, settings=replace(setup.settings, **{**low, "max_scf_steps": 1, **changes}))


def setup_of(structure, step="static", *, moments=None, hubbard=(), changes=None, **request):
    given = [("step", {**LOW, "max_scf_steps": 1, **(changes or {})})]
    settings = resolve_settings(structure, step, protocol="fast", given=given)
    return Setup("espresso", structure, step, settings, moments, hubbard, **request)


def assert_asked_for(text, setup):
    """Compare every site that pw.x prints with the request."""
    found = printed(text)
    structure = setup.structure
    assert found.elements == [site.species_string for site in structure]
    difference = found.positions - structure.frac_coords
    np.testing.assert_allclose(difference - np.round(difference), 0, atol=1e-6)
    site_u = [0.0 if u is None else u.u for u in resolve_hubbard(structure, setup.hubbard)]
    assert found.site_u() == pytest.approx(site_u, abs=1e-4)
    if setup.moments is not None and not setup.noncollinear:
        half_a_digit = 6e-4 * max(found.valence.values())
        assert found.moments == pytest.approx(list(setup.moments), abs=half_a_digit)
        assert [np.sign(m) for m in found.moments] == [np.sign(m) for m in setup.moments]
    assert ITERATIONS_DONE.search(text)


CHOSEN = {
    "demo": (r"V_O.*/FM/.*", {}),
    "laalo3-ktao3": (r"V_O.*/FM/Ta-5d-2eV/.*", {}),
    "laalo3-srtio3": (r"sto-V_Ti.*/FM/.*", {}),
    "cazro3-ktao3": (r"111-V_O.*/FM/.*", {}),
    "caruo3-lanio3": (r"sl-2-2/AFM-G/.*", {}),
    # AFM-110 does not fit a cell of one nitride layer of three atoms.
    "cr2o3-crn": (r"/order-.*", {"magnetism:\n": "magnetism:\n  unfit: skip\n"}),
}


@pytest.mark.skipif(not SHARED_CAMPAIGNS.is_dir(), reason="the campaign files of the papers are not here")
@pytest.mark.parametrize("name", CHOSEN)
def test_a_magnetic_structure_of_a_campaign_is_what_pw_reads(name, run, tmp_path):
    pattern, changes = CHOSEN[name]
    text = (SHARED_CAMPAIGNS / f"{name}.yaml").read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    file = tmp_path / f"{name}.yaml"
    file.write_text(text)
    chains = campaign_chains(load_campaign(file).for_code("espresso"))
    setups = [chain[0].to_setup() for chain in chains if re.search(pattern, chain[0].path)]
    smallest = min(len(setup.structure) for setup in setups)
    setup = max(
        (setup for setup in setups if len(setup.structure) == smallest), key=lambda setup: len(setup.species.species)
    )
    setup = cheap(replace(setup, step="static"), cell=None)
    assert any(setup.moments)
    assert_asked_for(run(setup), setup)


def test_an_antiferromagnet_with_u_by_layer_has_its_kinds_on_the_right_sites(run):
    moments = assign_moments(NITRIDE, "AFM-A", {"Cr": 3.0, "N": 0.0})
    hubbard = (HubbardU("Cr", "3d", 3.0, layers=(("CrN:1", 4.25),)),)
    setup = setup_of(NITRIDE, moments=moments, hubbard=hubbard)
    text = run(setup)
    assert_asked_for(text, setup)
    assert len({kind for kind in printed(text).kinds if kind.startswith("Cr")}) == 2
    traces = re.findall(r"Tr\[ns\(na\)\] \(up, down, total\) = +(\S+) +(\S+)", text)
    started = [float(up) - float(down) for up, down in traces[: sum(map(bool, moments))]]
    assert [np.sign(m) for m in started] == [np.sign(m) for m in moments if m]


@pytest.mark.parametrize("hubbard", [(U, HubbardU("O", "2p", 1.5)), (HubbardU("O", "2p", 1.5),)])
def test_u_on_oxygen_is_taken_or_refused_beforehand(run, hubbard):
    setup = setup_of(STO, moments=assign_moments(STO, "FM", {"Ti": 1.0}), hubbard=hubbard)
    try:
        text = run(setup)
    except InputError:
        return
    assert_asked_for(text, setup)


def test_the_steps_of_a_chain_are_taken_one_after_the_other(run):
    moments = assign_moments(STO, "FM", {"Ti": 1.0})
    once = {"max_scf_steps": 100}
    static = setup_of(STO, moments=moments, hubbard=(U,), changes=once)
    assert_asked_for(run(static, codes=(0,)), static)
    for step, said in {"dos": "tetrahedr", "bands": "Band Structure Calculation"}.items():
        later = setup_of(STO, step, moments=moments, hubbard=(U,), changes={"path_spacing": 1.2}, parent="static")
        text = run(later, codes=(0,))
        assert said in text
        assert "The potential is recalculated from file" in text
    for step in ("potential", "charge"):
        assert "Writing data to file" in run(setup_of(STO, step, moments=moments, parent="static"), codes=(0,))


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_a_static_step_takes_the_density_of_the_relaxation(run, factor):
    """A relaxation of the cell has a higher cutoff; pw.x takes over the plane waves that are in both."""
    moments = assign_moments(LAYERS, "FM", {"Ti": 1.0})
    changes = {"max_scf_steps": 100, "max_ion_steps": 1, "scf_tolerance": 1e-4, "cutoff": factor * LOW["cutoff"]}
    relax = setup_of(LAYERS, "relax", moments=moments, hubbard=(U,), changes=changes)
    assert relax.settings.cell == "c"
    text = run(relax, codes=(0, 3))
    assert_asked_for(text, relax)
    assert "Total force" in text
    assert "total   stress" in text
    static = setup_of(LAYERS, moments=moments, hubbard=(U,), parent="relax")
    assert "The initial density is read from file" in run(static)


def test_only_the_height_of_the_cell_may_relax(run):
    changes = {"max_scf_steps": 100, "max_ion_steps": 2, "scf_tolerance": 1e-4}
    text = run(setup_of(LAYERS, "relax", changes=changes), codes=(0, 3))
    cells = re.findall(r"CELL_PARAMETERS \(angstrom\)\n(.*)\n(.*)\n(.*)", text)
    assert cells
    for cell in cells:
        vectors = np.array([[float(x) for x in row.split()] for row in cell])
        np.testing.assert_allclose(vectors[:2], LAYERS.lattice.matrix[:2], atol=1e-6)
        np.testing.assert_allclose(vectors[2, :2], 0, atol=1e-6)
    assert any(abs(float(cell[2].split()[2]) - LAYERS.lattice.c) > 1e-4 for cell in cells)


def test_the_dipole_of_a_slab_is_corrected_for_in_its_vacuum(run):
    blocks = [Block(build_material("SrTiO3"), 1), Block(build_material("LaAlO3"), 1)]
    slab = build_superlattice(blocks, in_plane="SrTiO3", vacuum=12)
    moments = assign_moments(slab, "FM", {"Ti": 1.0})
    for step, codes in {"static": (0, STOPPED_EARLY), "relax": (0, STOPPED_EARLY, 3)}.items():
        setup = setup_of(slab, step, moments=moments, hubbard=(U,))
        assert setup.settings.dipole
        text = run(setup, codes=codes)
        assert_asked_for(text, setup)
        assert re.search(r"Computed dipole along edir\(3\)", text)


def test_a_charged_cell_has_the_electrons_asked_for(run):
    vacancy = enumerate_defects(LAYERS, "V_O", where="all", charge=2)[0].structure
    moments = assign_moments(vacancy, "FM", {"Ti": 1.0})
    setup = setup_of(vacancy, moments=moments, hubbard=(U,), charge=int(vacancy.properties["charge"]))
    text = run(setup)
    assert_asked_for(text, setup)
    neutral = sum(printed(text).valence[kind] for kind in printed(text).kinds)
    assert float(re.search(r"number of electrons +=\s+(\S+)", text)[1]) == pytest.approx(neutral - 2)


def test_starting_occupations_are_those_of_the_first_iteration(run):
    start = StartingOccupations((0.0, 0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0, 0.0, 0.25))
    moments = assign_moments(STO, "FM", {"Ti": 1.0})
    hubbard = (HubbardU("Ti", "3d", 4.0, start=start),)
    setup = setup_of(STO, moments=moments, hubbard=hubbard, changes={"max_scf_steps": 3})
    text = run(setup)
    assert_asked_for(text, setup)
    modified = text.split("Modify starting ns matrices according to input values")[1]
    traces = re.search(r"Tr\[ns\(na\)\] \(up, down, total\) = +(\S+) +(\S+)", modified)
    assert [float(x) for x in traces.groups()] == pytest.approx([1.0, 0.25], abs=1e-4)


def test_occupations_read_from_one_run_are_those_the_next_starts_from(run, tmp_path):
    """pw.x puts the eigenvalues on the orbitals of its first iteration, the lowest on the emptiest."""
    moments = assign_moments(NITRIDE, "AFM-A", {"Cr": 3.0, "N": 0.0})
    run(setup_of(NITRIDE, moments=moments, hubbard=(HubbardU("Cr", "3d", 3.0),), changes={"max_scf_steps": 4}))
    reached = read_folder(tmp_path).occupations
    up = next(one for one in reached if one.moment > 0)
    assert up.moment > 0.5
    start = StartingOccupations(*(tuple(map(float, np.clip(spin, 0, 1).round(3))) for spin in up.eigenvalues))
    hubbard = HubbardU("Cr", "3d", 3.0, start=start)
    text = run(setup_of(NITRIDE, moments=moments, hubbard=(HubbardU.from_data(hubbard.to_data()),)))
    modified = text.split("Modify starting ns matrices according to input values")[1].partition("exit write_ns")[0]
    found = printed_occupations(modified)
    assert [one.site for one in found] == [one.site for one in reached]
    for one in found:
        spins = up.eigenvalues if moments[one.site] > 0 else up.eigenvalues[::-1]
        np.testing.assert_allclose(one.eigenvalues, spins, atol=2e-3)
        assert np.sign(one.moment) == np.sign(moments[one.site])


AXES = [((1.0, 0.0, 0.0), (90.0, 0.0)), ((0.0, 0.6, 0.8), (36.8699, 90.0)), ((0.0, 0.0, 1.0), (0.0, 0.0))]


def directions_printed(text):
    """Polar and azimuthal angle of the moment of each atom as the first iteration starts."""
    three = r" +(-?[\d.]+)" * 3
    rows = re.findall(
        rf"atom number +(\d+) relative position.*?polar coord.: r, theta, phi \[deg\] :{three}", text, re.DOTALL
    )
    found = {}
    for n, *values in rows:
        found.setdefault(int(n), tuple(map(float, values)))
    return found


@pytest.mark.parametrize(("axis", "angles"), AXES)
def test_noncollinear_moments_with_u_point_where_asked(run, axis, angles):
    moments = assign_moments(NITRIDE, "AFM-A", {"Cr": 3.0, "N": 0.0})
    hubbard = (HubbardU("Cr", "3d", 3.0),)
    setup = setup_of(NITRIDE, moments=moments, hubbard=hubbard, directions=[axis] * len(NITRIDE))
    text = run(setup)
    assert "Noncollinear calculation without spin-orbit" in text
    assert "Full LDA+U calculation" in text
    assert_asked_for(text, setup)
    found = directions_printed(text)
    up = np.array([np.sin(np.radians(angles[0])) * f(np.radians(angles[1])) for f in (np.cos, np.sin)])
    up = np.append(up, np.cos(np.radians(angles[0])))
    assert len(found) == len(NITRIDE)
    for n, moment in enumerate(moments, start=1):
        size, polar, azimuth = found[n]
        if moment:
            p, a = np.radians(polar), np.radians(azimuth)
            vector = np.array([np.sin(p) * np.cos(a), np.sin(p) * np.sin(a), np.cos(p)])
            np.testing.assert_allclose(vector, np.sign(moment) * up, atol=1e-3)
            assert size > 0.5


def fully_relativistic():
    """Skip unless a fully relativistic family is there."""
    families = [family for name, family in known_families().items() if "-fr-" in name and family.xc == "PBE"]
    if not families:
        pytest.skip("this version knows no fully relativistic family")
    if not all((families[0].folder / families[0].files[e]["file"]).is_file() for e in ("Sr", "Ti", "O")):
        pytest.skip(f"not installed; run: heterodft pseudos install {families[0].name}")


@pytest.mark.parametrize("hubbard", [(), (U,)])
@pytest.mark.parametrize("magnetic", [True, False])
def test_spin_orbit_coupling_is_taken_with_fully_relativistic_pseudopotentials(run, magnetic, hubbard):
    fully_relativistic()
    moments = assign_moments(STO, "FM", {"Ti": 1.0}) if magnetic else None
    directions = [(1.0, 0.0, 0.0)] * len(STO) if magnetic else None
    setup = setup_of(STO, moments=moments, hubbard=hubbard, directions=directions, spin_orbit=True)
    try:
        text = run(setup, relativistic="full")
    except InputError:
        assert hubbard  # only U may be refused beforehand
        return
    assert re.search(r"(Noncollinear|Non magnetic) calculation with spin-orbit", text)
    assert_asked_for(text, setup)
    if magnetic:
        size, polar, azimuth = directions_printed(text)[1 + [site.species_string for site in STO].index("Ti")]
        assert (polar, azimuth) == pytest.approx((90.0, 0.0), abs=0.1)
        assert size > 0.05


def test_a_noncollinear_slab_with_a_dipole_is_taken_or_refused_beforehand(run):
    blocks = [Block(build_material("SrTiO3"), 1), Block(build_material("LaAlO3"), 1)]
    slab = build_superlattice(blocks, in_plane="SrTiO3", vacuum=8)
    moments = assign_moments(slab, "FM", {"Ti": 1.0})
    setup = setup_of(slab, moments=moments, directions=[(1.0, 0.0, 0.0)] * len(slab))
    assert setup.settings.dipole
    try:
        text = run(setup)
    except InputError:
        return
    assert_asked_for(text, setup)
    assert re.search(r"Computed dipole along edir\(3\)", text)
