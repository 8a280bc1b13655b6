"""Every command as a user types it, without running a DFT code."""

from __future__ import annotations

import json

import pytest

COMMANDS = (
    "build", "plan", "inputs", "submit", "run", "status", "cancel", "pause", "resume", "retry", "report", "pseudos",
)  # fmt: skip


def test_help_lists_every_command(heterodft):
    text = heterodft("--help").stdout
    assert all(f"\n  {name} " in text for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself_with_an_example(heterodft, name):
    words = (name, "install", "-h") if name == "pseudos" else (name, "-h")
    assert f"Example: heterodft {name}" in " ".join(heterodft(*words).stdout.split())


def test_a_misspelt_command_is_corrected(heterodft):
    assert "no command 'stauts'; did you mean 'status'?" in heterodft("stauts", code=2).stderr


def test_build_writes_every_structure_and_says_what_it_made(heterodft, demo_file, tmp_path):
    done = heterodft("build", str(demo_file), "-o", "made")
    files = sorted(path.name for path in (tmp_path / "made" / "demo").iterdir())
    assert len(files) == 16
    assert {"sl.vasp", "sl.json", "sl.cif", "sl-V_O_4.vasp", "structures.json"} <= set(files)
    assert "V_O@SrTiO3:1 (TiO2)" in done.stdout
    assert "P4mm" in done.stdout


def test_build_says_where_each_lattice_comes_from(heterodft, tmp_path):
    (tmp_path / "m.yaml").write_text(
        "name: m\nmaterials: {LaMnO3: {}, SrMnO3: {a: 3.81}}\n"
        "structures: {sl: {stack: [{material: LaMnO3, layers: 1}, {material: SrMnO3, layers: 1}]}}\n"
        "magnetism: {orders: [NM]}\nsteps: [static]\n"
    )
    lines = [line.split() for line in heterodft("build", "m.yaml").stdout.splitlines()]
    assert next(line for line in lines if line[:2] == ["LaMnO3", "perovskite"])[2:5] == [
        "3.941",
        "3.941",
        "orthorhombic;",
    ]
    assert next(line for line in lines if line[:2] == ["SrMnO3", "perovskite"])[2:] == [
        "3.810",
        "3.810",
        "the",
        "campaign",
        "file",
    ]


def test_build_can_be_read_by_a_program(heterodft, demo_file):
    made = json.loads(heterodft("build", str(demo_file), "--json").stdout)
    assert [entry["atoms"] for entry in made] == [10, 9, 9, 9, 9]
    assert made[0]["strain"]["LaAlO3"] == pytest.approx(3.0343, abs=1e-4)


def test_plan_writes_nothing(heterodft, demo_file, tmp_path):
    plan = json.loads(heterodft("plan", str(demo_file), "--json").stdout)
    assert len(plan["calculations"]) == 10
    assert plan["calculations"][0]["electrons"] == 72
    assert plan["core_hours"] > 0
    assert list(tmp_path.iterdir()) == []


def test_a_calculation_of_two_names_is_planned_once(heterodft, tiny_file):
    single = json.loads(heterodft("plan", str(tiny_file), "--json").stdout)["totals"]
    twice = "  bulk: {stack: [{material: SrTiO3, layers: 1}]}\n"
    tiny_file.write_text(tiny_file.read_text().replace(twice, twice + twice.replace("bulk", "again")))
    both = json.loads(heterodft("plan", str(tiny_file), "--json").stdout)["totals"]
    assert (single["calculations"], both["calculations"]) == (4, 8)
    for name in ("core_hours", "disk_kept", "disk_peak"):
        assert both[name] == pytest.approx(single[name])
    assert heterodft("plan", str(tiny_file)).stdout.count("as above") == 4


def test_orders_that_were_asked_for_are_not_told_again_as_those_that_would_fit(heterodft):
    heterodft("init", "t.yaml", "--template", "superlattice")
    file = heterodft.folder / "t.yaml"
    file.write_text(file.read_text().replace("orders: [FM]", "orders: [FM, AFM-A]"))
    assert "orders: [FM, AFM-A]" in file.read_text()
    lines = [line.split() for line in heterodft("build", "t.yaml").stdout.splitlines()]
    assert any("AFM-A" in line and "fits" in line for line in lines)
    assert not any("AFM-A" in line and "would" in line for line in lines)


def test_plan_tells_the_disk_space_and_when_it_will_not_do(heterodft, tiny_file):
    done = heterodft("plan", str(tiny_file), "--json")
    plan = json.loads(done.stdout)
    totals, steps = plan["totals"], plan["calculations"]
    assert totals["disk_kept"] == pytest.approx(sum(step["disk_kept"] for step in steps))
    assert totals["disk_kept"] < totals["disk_peak"] < sum(step["disk_peak"] for step in steps)
    assert "disk: budget" not in done.stderr
    (heterodft.folder / "heterodft.yaml").write_text("disk: {budget: 0.001}\n")
    done = heterodft("plan", str(tiny_file))
    assert "more than the 0.001 GB of disk: budget" in done.stderr
    assert "GB to keep" in done.stdout


def test_inputs_for_another_version_need_no_program(heterodft, demo_file, tmp_path):
    heterodft("inputs", str(demo_file), "-o", "in", "--pw-version", "7.2", environment={"PATH": ""})
    text = (tmp_path / "in/demo/sl/FM/Ti-3d-4eV/static/pw.in").read_text()
    assert "HUBBARD {ortho-atomic}\nU Ti-3d 4\n" in text
    assert "lda_plus_u" not in text


def test_a_missing_program_stops_the_run_before_anything_starts(heterodft, tiny_file):
    heterodft("submit", str(tiny_file))
    done = heterodft("run", code=1, environment={"PATH": "/nowhere"})
    assert done.stderr.startswith("heterodft: ")
    assert "pw.x" in done.stderr or "projwfc.x" in done.stderr
    assert done.stderr.count("\n") == 1
    assert '"ready": 2' in heterodft("status", "--json").stdout


def test_status_of_nothing_says_what_to_do(heterodft):
    assert "submit one with: heterodft submit FILE" in heterodft("status").stdout


def test_status_takes_the_campaign_file_for_its_name(heterodft, tiny_file):
    assert "of tiny; submit one" in heterodft("status", str(tiny_file)).stdout


def test_run_of_nothing_says_what_to_do(heterodft):
    assert "The queue is empty" in heterodft("run").stdout


def test_a_mistake_in_the_file_is_one_line_and_exit_code_one(heterodft, tiny_file):
    tiny_file.write_text(tiny_file.read_text().replace("cutoff:", "cutof:"))
    done = heterodft("submit", str(tiny_file), code=1)
    assert "method.cutof: unknown key 'cutof'; did you mean 'cutoff'?" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_report_of_nothing_is_refused(heterodft, tiny_file):
    done = heterodft("report", str(tiny_file), code=1)
    assert "holds no calculation" in done.stderr


def test_output_into_something_that_is_no_folder_leaves_nothing_behind(heterodft, demo_file, tmp_path):
    (tmp_path / "made").write_text("in the way")
    done = heterodft("build", str(demo_file), "-o", "made", code=1)
    assert done.stderr.startswith("heterodft: cannot write made")
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_retry_needs_to_know_what(heterodft):
    assert "give paths of failed calculations, or --all-failed" in heterodft("retry", code=2).stderr


def test_a_pseudopotential_family_is_corrected(heterodft):
    done = heterodft("pseudos", "install", "pseudodojo-0.4-pbe-sr-standrad", code=1)
    assert "did you mean 'pseudodojo-0.4-pbe-sr-standard'?" in done.stderr


def test_families_are_listed_with_their_functional_and_relativity(heterodft, tmp_path):
    nothing = {"XDG_DATA_HOME": str(tmp_path)}
    text = heterodft("pseudos", "list", environment=nothing).stdout
    assert "pseudodojo-0.4-pbesol-fr-standard" in text
    assert "without wavefunctions" in text
    rows = {
        row["name"]: row for row in json.loads(heterodft("pseudos", "list", "--json", environment=nothing).stdout)
    }
    row = rows["pseudodojo-0.4-pbe-fr-standard"]
    assert (row["functional"], row["relativistic"], row["installed"]) == ("PBE", "full", False)
    assert (len(row["elements"]), row["without_wavefunctions"]) == (70, [])


def test_a_family_is_shown_by_element(heterodft, tmp_path):
    nothing = {"XDG_DATA_HOME": str(tmp_path)}
    text = heterodft("pseudos", "show", "Ti", "O", environment=nothing).stdout
    assert text.startswith("pseudodojo-0.4-pbe-sr-standard: PBE, relativistic: scalar")
    assert [line.split() for line in text.splitlines() if "upf" in line] == [
        ["O", "O.upf", "6", "2", "84", "missing"],
        ["Ti", "Ti.upf", "12", "4", "84", "missing"],
    ]
    words = ("pseudos", "show", "pseudodojo-0.4-pbesol-fr-standard", "--json")
    data = json.loads(heterodft(*words, environment=nothing).stdout)
    assert data["family"] == "pseudodojo-0.4-pbesol-fr-standard"
    assert len(data["pseudopotentials"]) == 71


def test_a_family_or_element_that_is_not_there_is_corrected(heterodft):
    done = heterodft("pseudos", "show", "pseudodojo-0.4-pbe-sr-standrad", "Ti", code=1)
    assert "did you mean 'pseudodojo-0.4-pbe-sr-standard'?" in done.stderr
    done = heterodft("pseudos", "show", "pseudodojo-0.4-pbe-fr-standard", "La", code=1)
    assert "has no pseudopotential for 'La'" in done.stderr
