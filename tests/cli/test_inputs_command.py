"""``heterodft inputs``: both codes, --explain, --only, and what is refused."""

from __future__ import annotations

import json

import pytest
from pymatgen.io.vasp import Incar

STACK = """\
name: both
materials:
  KTaO3: {prototype: perovskite, a: 3.989}
  LaAlO3: {prototype: perovskite, a: 3.79}
structures:
  sl: {stack: [{material: KTaO3, layers: 2}, {material: LaAlO3, layers: 2}], in_plane: KTaO3}
magnetism: {orders: [FM], moments: {Ta: 1.0}}
hubbard: {Ta-5d: {"KTaO3:1": 2.0, rest: 1.0}}
method: {protocol: balanced, cutoff: {espresso: 50 Ry, vasp: 550 eV}, espresso: {mixing_ndim: 12}, vasp: {NCORE: 4}}
steps: [relax, static, {dos: {empty_bands: 1.0}}, bands, potential, charge]
"""


@pytest.fixture
def run(heterodft_inside, monkeypatch):
    monkeypatch.delenv("PMG_VASP_PSP_DIR", raising=False)

    def program(*words, code=0, old="", new=""):
        (heterodft_inside.folder / "c.yaml").write_text(STACK.replace(old, new) if old else STACK)
        return heterodft_inside("inputs", "c.yaml", *words, code=code)

    program.folder = heterodft_inside.folder
    return program


def test_one_file_makes_the_inputs_of_both_codes(run):
    assert "35 input files of 7 calculations" in run("--code", "vasp", "-o", "vasp").stdout
    run("--code", "espresso", "--pw-version", "6.7", "-o", "qe")
    name = "both/sl/FM/Ta-5d-1eV-KTaO3.1-2eV"
    steps = {"relax-coarse", "relax", "static", "dos", "bands", "potential", "charge"}
    for code in ("vasp", "qe"):
        assert {path.name for path in (run.folder / code / name).iterdir()} == steps
    incar = Incar.from_file(run.folder / "vasp" / name / "static" / "INCAR")
    poscar = (run.folder / "vasp" / name / "static" / "POSCAR").read_text().splitlines()
    assert [incar["ENCUT"], incar["NCORE"], incar["LDAUU"]] == [550.0, 4, [0, 0, 2, 1, 0, 0]]
    assert [poscar[5].split(), poscar[6].split()] == [
        ["K", "O", "Ta", "Ta", "La", "Al"],
        ["2", "12", "1", "1", "2", "2"],
    ]
    assert (run.folder / "vasp" / name / "static" / "POTCAR.spec").read_text().split() == [
        "K_sv", "O", "Ta_pv", "Ta_pv", "La", "Al",
    ]  # fmt: skip
    pw = (run.folder / "qe" / name / "static" / "pw.in").read_text()
    assert "mixing_ndim      = 12" in pw
    assert "ecutwfc          = 50.0" in pw


def test_the_explanation_names_the_origin_of_each_value_and_writes_nothing(run):
    data = json.loads(run("--code", "espresso", "--pw-version", "6.7", "--explain", "--json").stdout)
    by_step = {c["path"].rpartition("/")[2]: c for c in data["calculations"]}
    origin = {(s["section"], s["key"]): s["origin"] for s in by_step["static"]["settings"]}
    assert origin["system", "ecutwfc"] == "campaign"
    assert origin["system", "degauss"] == "protocol balanced"
    assert origin["electrons", "mixing_ndim"] == "raw"
    assert origin["electrons", "startingpot"] == "handed on by relax"
    assert origin["system", "starting_magnetization(3)"] == "magnetism"
    assert origin["system", "Hubbard_U(3)"] == "hubbard"
    species = {s["key"]: s["species"] for s in by_step["static"]["settings"]}
    labels = {i: species[f"starting_magnetization({i})"] for i in (1, 2, 3)}
    written = [s["key"] for s in by_step["static"]["settings"] if s["key"].startswith("Hubbard_U")]
    assert {species[key] for key in written} == {label for label in species.values() if label.startswith("Ta")}
    assert (labels[1], species["Hubbard_U(3)"], species["ecutwfc"]) == ("K", labels[3], "")
    assert {s["origin"] for s in by_step["dos"]["settings"] if s["key"] == "nbnd"} == {"step"}
    assert by_step["bands"]["taken_over"] == {
        "from": "static", "what": "structure, density", "why_not_all": "wavefunctions belong to another mesh",
    }  # fmt: skip
    assert sorted(path.name for path in run.folder.iterdir()) == ["c.yaml"]


def test_the_table_of_the_explanation_says_what_is_handed_on(run):
    out = run("--code", "vasp", "--explain").stdout
    assert "static: 1 calculation; from relax: structure, density, wavefunctions" in out
    assert "bands: 1 calculation; from static: structure, density (wavefunctions belong to another mesh)" in out
    assert "Γ-X-M-Γ-Z" in out
    assert all(line.rstrip().endswith("comes from") for line in out.splitlines() if line.startswith(" file "))


def test_a_mesh_that_the_protocol_shifts_says_so_beside_where_its_divisions_are_from(run):
    out = run("--explain", "--json", "--pw-version", "6.7", "--only", "*/static", old="protocol: balanced,",
              new="protocol: fast, kpoints: [2, 2, 1],").stdout  # fmt: skip
    settings = json.loads(out)["calculations"][0]["settings"]
    mesh = next(one for one in settings if one["key"] == "K_POINTS")
    assert [mesh["value"], mesh["origin"]] == ["2x2x1 shifted", "campaign; shifted by protocol fast"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--explain", "-o", "files"), "--explain writes nothing; leave out --output"),
        (
            ("--code", "espresso", "--vasp-version", "6.4"),
            "--vasp-version is for vasp, and the files are written",
        ),
        (("--code", "vasp", "--pw-version", "6.7"), "for vasp; leave it out, or add --code espresso"),
    ],
)
def test_options_that_contradict_one_another_are_refused(run, words, message):
    assert message in run(*words, code=2).stderr
    assert [path.name for path in run.folder.iterdir()] == ["c.yaml"]


def test_only_some_calculations_are_written(run):
    run("--code", "vasp", "--only", "sl/*/static", "-o", "some")
    assert [path.parent.name for path in (run.folder / "some").glob("**/INCAR")] == ["static"]
    assert "no calculation is like 'nothing'" in run("--code", "vasp", "--only", "nothing", code=2).stderr


@pytest.mark.parametrize(
    ("code", "old", "new", "message"),
    [
        ("vasp", "NCORE: 4", "NCOER: 4", "VASP has no tag 'NCOER'; did you mean 'NCORE'?"),
        ("vasp", "NCORE: 4", "ISPIN: 1", "vasp: ISPIN = 1 contradicts the request: it is 2 here by the magnetism"),
        ("vasp", "NCORE: 4", "ENCUT: 300", "vasp: ENCUT is called cutoff in method; give it there, or under force"),
        ("vasp", "NCORE: 4", "force: {ICHARG: 11}", "force: ICHARG is the program's own to write"),
        ("vasp", "[relax, static", "[static, relax", "relax after static"),
        ("espresso", "mixing_ndim: 12", "lda_plus_u: false", "lda_plus_u = False contradicts the request"),
        ("espresso", '"KTaO3:1"', '"KTaO3:7"', "no layer KTaO3:7 holds Ta; did you mean 'KTaO3:"),
        ("espresso", '{"KTaO3:1": 2.0, rest: 1.0}', "{U: 4.0, J: 0.5}", "written for VASP only"),
        ("espresso", "Ta-5d: {", "La-5d: 2.0, Ta-5d: {", "pw.x 6.7 cannot put U on La-5d; version 7.1 or later can"),
        ("espresso", "cutoff: {", "kspacing: 0.01, cutoff: {", "kspacing 0.01 1/Å makes a mesh of"),
        ("vasp", "protocol: balanced", "protocol: balanced, smearing: cold", "VASP has no cold smearing; give"),
        ("vasp", "protocol: balanced", "protocol: balanced, potcars: {Ta: Ti_pv}", "'Ti_pv' is not one of Ta"),
        ("espresso", "steps: [relax, static,", "steps: [relax,", "dos needs the density of a static step before it"),
        ("espresso", "vasp: 550 eV}", "abinit: 550 eV}", "unknown code 'abinit'"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_nothing_is_written(run, code, old, new, message):
    version = ("--pw-version", "6.7") if code == "espresso" else ()
    done = run("--code", code, *version, "-o", "out", code=1, old=old, new=new)
    told = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
    assert len(told) == 1
    assert message in told[0]
    assert not (run.folder / "out").exists()


def test_an_old_vasp_that_cannot_hold_the_plane_is_refused(run):
    done = run("--code", "vasp", "--vasp-version", "5.4", code=1)
    assert "VASP 5.4 ignores LATTICE_CONSTRAINTS and would change a and b too" in done.stderr


def test_eleven_species_are_told_as_such(run):
    new = "method: {"
    sites = "{" + ", ".join(f"{i}: {0.3 * i:.1f}" for i in range(1, 14)) + "}"
    text = STACK.replace("moments: {Ta: 1.0}", f"moments: {{sites: {sites}}}").replace(
        "method: {", "method: {moment_tolerance: 0, "
    )
    done = run("--code", "espresso", "--pw-version", "6.7", code=1, old=STACK, new=text)
    assert "species (element, U, moment), but Quantum ESPRESSO takes 10" in done.stderr
    assert new in text


def test_moments_that_are_near_share_a_species_and_it_is_said(run):
    sites = "{" + ", ".join(f"{i}: {0.3 + 0.02 * i:.2f}" for i in range(1, 14)) + "}"
    text = STACK.replace("moments: {Ta: 1.0}", f"moments: {{sites: {sites}}}")
    done = run("--code", "espresso", "--pw-version", "6.7", "--only", "*/static", old=STACK, new=text)
    assert "ten species: O: starting moments" in done.stderr
    assert "μB became" in done.stderr


def test_plan_and_submit_refuse_what_inputs_refuses(heterodft_inside):
    heterodft = heterodft_inside
    (heterodft.folder / "c.yaml").write_text(STACK.replace("mixing_ndim: 12", "nspin: 1"))
    for command in ("plan", "submit"):
        done = heterodft(command, "c.yaml", code=1)
        assert "c.yaml:9: method.espresso: both/sl/FM/" in done.stderr
        assert "nspin = 1 contradicts the request" in done.stderr
    assert not (heterodft.folder / "runs").exists()


def test_versions_are_written_as_their_programs_are_named(run):
    run("--code", "vasp", "--vasp-version", "6.4.2", "-o", "new")
    assert "'six' is no version; write it as 6.4.2" in run("--vasp-version", "six", code=2).stderr


def test_files_of_the_other_code_do_not_stay_beside_those_of_one(run):
    run("--code", "vasp", "--only", "*/static", "-o", "out")
    run("--code", "espresso", "--pw-version", "6.7", "--only", "*/static", "-o", "out")
    folder = next((run.folder / "out").glob("**/pw.in")).parent
    assert sorted(path.name for path in folder.iterdir()) == ["pw.in", "request.json"]
