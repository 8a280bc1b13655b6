from __future__ import annotations

import pytest

from heterodft.errors import CampaignError
from heterodft.templates.hubbard import UChoice
from heterodft.workflows.campaign_file import load_campaign

CAMPAIGN = """\
name: crn
materials:
  CrN: {prototype: rocksalt, a: 4.15}
structures:
  bulk: {stack: [{material: CrN, layers: 2}]}
steps: [static]
converge:
  hubbard:
"""


def read(tmp_path, *lines):
    path = tmp_path / "c.yaml"
    path.write_text(CAMPAIGN + "".join(f"    {line}\n" for line in lines))
    return load_campaign(path).converge.hubbard


def test_a_range_ends_with_its_stop_and_starts_at_zero(tmp_path):
    assert read(tmp_path, "Cr-3d: {start: 1, stop: 2, step: 0.25}").scans["Cr-3d"].values == (1, 1.25, 1.5, 1.75, 2)
    assert read(tmp_path, "Cr-3d: {stop: 0.3, step: 0.1}").scans["Cr-3d"].values == (0, 0.1, 0.2, 0.3)
    assert read(tmp_path, "Cr-3d: {start: 0, stop: 5, step: 2}").scans["Cr-3d"].values == (0, 2, 4)


def test_a_list_and_units_are_taken(tmp_path):
    found = read(tmp_path, "Cr-3d: [0, 500 meV, 2 eV]", "branches: cold", "starts: 0.5", "orders: FM")
    assert found.scans["Cr-3d"].values == (0, 0.5, 2)
    assert (found.branches, found.starts, found.orders, found.structures) == (["cold"], [0.5], ["FM"], None)


def test_ramps_both_ways_are_what_is_run_unless_told(tmp_path):
    found = read(tmp_path, "Cr-3d: [0, 1]")
    assert (found.branches, found.starts, found.together, found.tolerance) == (["up", "down"], [1.0], True, 1e-3)


def test_layers_carry_the_values_and_the_rest_stays(tmp_path):
    one = read(tmp_path, 'Cr-3d: {"CrN:1": [0, 1], rest: 2}').scans["Cr-3d"]
    two = read(tmp_path, 'Cr-3d: {layers: ["CrN:2", "CrN:1"], start: 0, stop: 1, step: 1, J: 0.5}').scans["Cr-3d"]
    assert one.choice(1.0) == UChoice(2.0, None, (("CrN:1", 1.0),))
    assert two.choice(1.0) == UChoice(0.0, 0.5, (("CrN:1", 1.0), ("CrN:2", 1.0)))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["Cr-3d: {start: 5, stop: 0, step: 1}"], r":9: converge\.hubbard\.Cr-3d: start 5 eV to stop 0 eV goes ba"),
        (["Cr-3d: {start: 0, stop: 5, step: 0}"], r":9: .*step: 0 eV; give a step greater than 0"),
        (["Cr-3d: {start: 0, stop: 5, step: -1}"], r":9: .*step: -1 eV; give a step greater than 0"),
        (["Cr-3d: {start: 0, stop: 1, step: 2}"], r":9: .*is one value; a scan takes two or more"),
        (["Cr-3d: {start: 0, stop: 10, step: 0.01}"], r":9: .*1001 values of U .* 100 at most"),
        (
            ["together: false", "Cr-3d: {stop: 5, step: 0.25}", "N-2p: {stop: 5, step: 0.25}"],
            r"21 × 21 combinations of U are 441 for each structure and order",
        ),
        (["Cr-3d: {start: 0, step: 1}"], r":9: .*stop is missing; give \{start: 0"),
        (["Cr-3d: {stat: 0, stop: 1, step: 1}"], r":9: .*unknown key 'stat' of a scan; did you mean 'start'\?"),
        (["Cr-3d: {values: [0, 1], step: 1}"], r":9: .*values beside a range"),
        (["Cr-3d: [2]", "branches: [down]"], r":9: .*\[2\.?0?\] is one value; a scan takes two values"),
        (["Cr-3d: []"], r":9: .*is empty"),
        (["Cr-3d: [4, 2]"], r":9: .*4, 2 eV does not rise; list U upwards"),
        (["Cr-3d: [0, 0]"], r":9: .*0, 0 eV does not rise"),
        (["Cr-3d: [0, yes]"], r":9: .*'yes' is no U"),
        (["Cr-3d: [0, true]"], r":9: .*True is no U"),
        (["Cr-3d: 3"], r":9: .*3 is no scan of U"),
        (["Cr-3d: [0, 30]"], r":9: .*Cr-3d = 30 eV is no effective U"),
        (["Cr-4f: [0, 1]"], r":9: converge\.hubbard\.Cr-4f: 'Cr-4f'; Cr has 3d"),
        (["Sr-3d: [0, 1]"], r":9: .*'Sr-3d'; Sr has no shell for a U"),
        (["Cr: [0, 1]"], r":9: .*'Cr'; write an element and a shell, such as Ti-3d"),
        (["Cr-3d: [0, 1]", "branchs: [up]"], r":10: .*unknown key 'branchs'; did you mean 'branches'\?"),
        (["Cr-3d: [0, 1]", "branches: [upp]"], r":10: .*unknown branch 'upp'; did you mean 'up'\?"),
        (["Cr-3d: [0, 1]", "branches: [up, up]"], r":10: .*a branch is named twice"),
        (["Cr-3d: [0, 1]", "starts: [0]"], r":10: .*starts"),
        (["Cr-3d: [0, 1]", "starts: [1, 1.0]"], r":10: .*a factor is given twice"),
        (["Cr-3d: [0, 1]", "tolerance: 0 meV"], r":10: .*tolerance"),
        (["Cr-3d: [0, 1]", "N-2p: [0, 1, 2]"], r":8: .*as many values each, not Cr-3d 2, N-2p 3"),
        (['Cr-3d: {"CrN:1": [0, 1], "CrN:2": [0, 1]}'], r":9: .*write several that go together as"),
        (["Cr-3d: {start: 0, stop: 1, step: 1, rest: 1}"], r":9: .*name those that are scanned"),
        (["Cr-3d: {start: 0, stop: 1, step: 1, layers: [CrN]}"], r":9: .*write MATERIAL:NUMBER"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_its_line(tmp_path, lines, message):
    with pytest.raises(CampaignError, match=message) as told:
        read(tmp_path, *lines)
    assert "\n" not in str(told.value)
