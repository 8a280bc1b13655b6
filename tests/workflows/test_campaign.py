from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from heterodft.errors import CampaignError
from heterodft.units import RYDBERG
from heterodft.workflows.campaign_file import load_campaign

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
name: demo
materials:
  SrTiO3: {a: 3.905}
structures:
  sl:
    stack: [{material: SrTiO3, layers: 1}]
    defects: [{kind: V_O, where: all}]
method: {protocol: fast, cutoff: 40 Ry}
steps: [static, dos]
"""


def load(tmp_path: Path, text: str):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return load_campaign(path)


def test_units_are_converted_to_ours(tmp_path):
    cutoff = load(tmp_path, GOOD).method.cutoff
    assert (cutoff.espresso, cutoff.vasp) == pytest.approx((40 * RYDBERG, 40 * RYDBERG))


def test_a_single_layer_number_is_a_list_of_one(tmp_path):
    assert load(tmp_path, GOOD).structures["sl"].stack[0].layers == [1]


def test_a_step_may_carry_its_own_method(tmp_path):
    campaign = load(tmp_path, GOOD.replace("dos]", "{dos: {kspacing: 0.3}}]"))
    assert campaign.steps[1].method.overrides("espresso") == {"kspacing": 0.3}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("method:", "metod:", r"c\.yaml:8: metod: unknown key 'metod'; did you mean 'method'\?"),
        ("layers: 1", "layer: 1", r"c\.yaml:6: .*unknown key 'layer'; did you mean 'layers'\?"),
        (
            "layers: 1",
            "layers: 0",
            r"c\.yaml:6: structures\.sl\.stack\.0\.layers\.0: .*greater than or equal to 1, got 0",
        ),
        ("layers: 1", "layers: 1.5", r"c\.yaml:6: .*1\.5; give a whole number"),
        (
            "material: SrTiO3,",
            "material: SrTi03,",
            r"c\.yaml:6: .*unknown material 'SrTi03'; did you mean 'SrTiO3'",
        ),
        ("40 Ry", "40 Rydberg", r"c\.yaml:8: method\.cutoff: unknown unit 'Rydberg' of energy"),
        ("40 Ry", "-40 Ry", r"c\.yaml:8: method\.cutoff: .*greater than 0"),
        (
            "protocol: fast",
            "protocol: fats",
            r"c\.yaml:8: method\.protocol: unknown protocol 'fats'; did you mean 'fast'",
        ),
        ("[static, dos]", "[dos]", r"c\.yaml:9: steps: dos needs the density of a static step"),
        ("[static, dos]", "[static, doss]", r"c\.yaml:9: steps\.1: unknown step 'doss'; did you mean 'dos'"),
        ("[static, dos]", "[static, static]", r"c\.yaml:9: steps: a step is named twice"),
        ("where: all", "where: al", r"c\.yaml:7: .*'al'; did you mean 'all'"),
        ("where: all", "where: {material: LaAlO3}", r"c\.yaml:7: .*'LaAlO3' is not in the stack"),
        ("name: demo", "name: ../demo", r"c\.yaml:1: name: "),
        ("name: demo\n", "", r"c\.yaml: name: is missing"),
        ("name: demo", "name: demo\nname: again", r"c\.yaml:2: found duplicate key"),
        ("{a: 3.905}", "{a: 3.905", r"c\.yaml:\d+: "),
        ("[static, dos]", "[1]", r"c\.yaml:9: steps\.0: write a step as its name"),
        ("[static, dos]", "[static, {dos: {protocol: fast}}]", r"unknown key 'protocol'"),
        ("cutoff: 40 Ry", "empty_bands: .inf", r"c\.yaml:8: method\.empty_bands: "),
        (
            "cutoff: 40 Ry",
            "espresso: {conv_thr: .nan}",
            r"method\.espresso: conv_thr: nan is no value of a setting",
        ),
        ("cutoff: 40 Ry", "kspacing: 0.3, kpoints: [2, 2, 2]", r"method: kspacing and kpoints both set the mesh"),
        ("cutoff: 40 Ry", "cutoff: 1e9 Ry", r"c\.yaml:8: method\.cutoff: .*less than or equal to"),
        ("layers: 1", "layers: 99999999999999999999", r"c\.yaml:6: .*less than or equal to 1000"),
        ("name: demo", "name: workers", r"c\.yaml:1: name: 'workers' is a name of our own"),
        ("name: demo", "name: &a [*a]", r"c\.yaml: a YAML alias contains itself|c\.yaml:1: name: "),
    ],
)
def test_a_mistake_is_told_with_its_line_and_a_remedy(tmp_path, old, new, message):
    assert old in GOOD
    with pytest.raises(CampaignError, match=message) as caught:
        load(tmp_path, GOOD.replace(old, new, 1))
    assert "\n" not in str(caught.value)


def test_further_mistakes_are_counted(tmp_path):
    with pytest.raises(CampaignError, match=r"\(and 1 more\)"):
        load(tmp_path, GOOD.replace("layers: 1", "layers: 0").replace("40 Ry", "0 Ry"))


def test_an_empty_file_says_what_it_needs(tmp_path):
    with pytest.raises(CampaignError, match="it needs name, materials, structures and steps"):
        load(tmp_path, "")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CampaignError, match=r"cannot read the campaign file .*nothing\.yaml: No such file"):
        load_campaign(tmp_path / "nothing.yaml")


def test_yaml_cannot_run_code(tmp_path):
    with pytest.raises(CampaignError):
        load(tmp_path, GOOD.replace("name: demo", "name: !!python/object/apply:os.system ['true']"))
