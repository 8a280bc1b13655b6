from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from heterodft.errors import CampaignError
from heterodft.units import RYDBERG
from heterodft.workflows.campaign import Campaign
from heterodft.workflows.campaign_file import _validation_message, load_campaign

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
            r"c\.yaml:6: structures\.sl\.stack\.0\.layers\.0: .*0; give 1 or more",
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
        ("layers: 1", "layers: 99999999999999999999", r"c\.yaml:6: .*give 1000 or less"),
        ("name: demo", "name: workers", r"c\.yaml:1: name: 'workers' is a name of our own"),
        ("name: demo", "name: &a [*a]", r"c\.yaml: a YAML alias contains itself|c\.yaml:1: name: "),
    ],
)
def test_a_mistake_is_told_with_its_line_and_a_remedy(tmp_path, old, new, message):
    assert old in GOOD
    with pytest.raises(CampaignError, match=message) as caught:
        load(tmp_path, GOOD.replace(old, new, 1))
    assert "\n" not in str(caught.value)


def test_each_mistake_has_its_line(tmp_path):
    with pytest.raises(CampaignError) as caught:
        load(tmp_path, GOOD.replace("layers: 1", "layers: 0").replace("40 Ry", "0 Ry"))
    first, second = str(caught.value).splitlines()
    assert "layers" in first
    assert "cutoff" in second
    assert all(re.match(rf"{tmp_path}\S+\.yaml:\d+: ", line) for line in (first, second))


def test_of_many_mistakes_ten_are_told(tmp_path):
    with pytest.raises(CampaignError) as caught:
        load(tmp_path, GOOD + "".join(f"key{number}: 1\n" for number in range(14)))
    assert len(str(caught.value).splitlines()) == 11
    assert str(caught.value).endswith("… and 4 more mistakes")


def test_an_empty_file_says_what_it_needs(tmp_path):
    with pytest.raises(CampaignError, match="it needs name, materials, structures and steps"):
        load(tmp_path, "")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CampaignError, match=r"cannot read the campaign file .*nothing\.yaml: No such file"):
        load_campaign(tmp_path / "nothing.yaml")


def test_yaml_cannot_run_code(tmp_path):
    with pytest.raises(CampaignError):
        load(tmp_path, GOOD.replace("name: demo", "name: !!python/object/apply:os.system ['true']"))


WIDE = """\
name: wide
code: espresso
materials:
  SrTiO3: {prototype: perovskite, a: 3.905}
structures:
  sl:
    normal: [0, 0, 1]
    stack: [{material: SrTiO3, layers: 2}]
    supercell: [1, 1]
    vacuum: 0
    defects: [{kind: V_O, where: {material: SrTiO3, layers: [1]}}]
magnetism: {orders: [FM], moments: {Ti: 1.0}, unreached: reseed, reseeds: 2}
hubbard: {Ti-3d: 4.0}
method: {protocol: fast, cutoff: 40 Ry, kspacing: 0.5, smearing: gaussian, smearing_width: 0.1 eV, empty_bands: 0.3}
steps: [relax, {dos: {kspacing: 0.3}}]
converge:
  cutoff: {start: 40 Ry, stop: 60 Ry, step: 10 Ry, agree: 2, quantities: {energy: 1 meV}, start_from: scratch}
  kspacing: {values: [0.5, 0.4], structures: [sl], orders: [FM]}
  linear_response: {method: hp, elements: [Ti-3d], qmeshes: [1, 2], tolerance: 0.1, max_rounds: 3, damping: 1.0}
  starts: {moments: [0.5], random: {number: 1, seed: 1}, rattle: 0.05, distortions: [0.1], limit: 3, patience: 2}
  hubbard: {Ti-3d: [0, 1], branches: [up], starts: [1.0], tolerance: 1 meV, together: true}
run: {command: pw.x}
"""
WRONG = (None, True, -1, 0, 1.5, 1e30, "nonsense", "-3 eV", [], {}, [[1]], {"a": {"b": 1}}, [1, "x", None] * 9)


def _places(node, where=()):
    """Every place of a document, with what holds it."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield node, key, (*where, key)
        if isinstance(value, dict | list):
            yield from _places(value, (*where, key))


def test_no_mistake_is_told_in_the_words_of_a_library(tmp_path):
    document, lines = YAML(typ="safe").load(WIDE), YAML(typ="rt").load(WIDE)
    Campaign.model_validate(document)
    told, lines_told = set(), set()
    for holder, key, where in list(_places(document)):
        kept = holder[key]
        for value in WRONG:
            holder[key] = value
            try:
                Campaign.model_validate(document)
            except ValidationError as error:
                message = _validation_message(Campaign, Path("c.yaml"), lines, error)
                told.add(f"{where} = {value!r}: {message}")
                lines_told.update(message.splitlines())
        holder[key] = kept
    assert len(told) > 300
    library = ("Input should", "Value error", "means nothing here:", "valid ", "pydantic", "function-")
    assert not [message for message in told if any(words in message for words in library)]
    assert all(line.startswith(("c.yaml:", "… and ")) for line in lines_told)


def test_the_name_of_a_driver_of_another_campaign_is_refused(tmp_path):
    message = r"c\.yaml:1: name: 'crn\.cutoff' is where heterodft converge keeps cutoff of a campaign crn; choose ano"
    with pytest.raises(CampaignError, match=message):
        load(tmp_path, GOOD.replace("name: demo", "name: crn.cutoff"))
    assert load(tmp_path, GOOD.replace("name: demo", "name: crn.v2")).name == "crn.v2"
