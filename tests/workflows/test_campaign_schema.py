from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from heterodft.workflows.campaign_file import _plain
from heterodft.workflows.campaign_schema import campaign_schema, is_ours, published_schema, schema_text

ROOT = Path(__file__).parents[2]
VALIDATOR = jsonschema.Draft202012Validator(campaign_schema())
BASE = """
name: x
materials: {SrTiO3: {prototype: perovskite, a: 3.905}}
structures: {s: {stack: [{material: SrTiO3, layers: 1}]}}
steps: [static]
"""


def data(text):
    return _plain(YAML(typ="rt").load(text))


def fits(**changes):
    return VALIDATOR.is_valid(data(BASE) | {key: data(text) for key, text in changes.items()})


def test_the_published_schema_is_that_of_the_models():
    assert published_schema() == schema_text(), "run: heterodft's schema_text() into campaign.schema.json"
    jsonschema.Draft202012Validator.check_schema(json.loads(published_schema()))


def test_every_key_has_a_description():
    schema = campaign_schema()
    for name, model in [("campaign", schema), *schema["$defs"].items()]:
        for key, field in model.get("properties", {}).items():
            assert field.get("description"), f"{name}.{key}"


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*/*.yaml")), ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_example_fits(path):
    schema = campaign_schema()
    part = {"$ref": "#/$defs/PublishedSpec", "$defs": schema["$defs"]} if path.stem == "published" else schema
    jsonschema.Draft202012Validator(part).validate(data(path.read_text()))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("method", "{cutoff: 60 Ry}"),
        ("materials", "{SrTiO3: }"),
        ("hubbard", "{Ti-3d: 4 eV}"),
        ("magnetism", "{moments: {Ti: 1 μB}}"),
        (
            "method",
            "{cutoff: {espresso: 60 Ry, vasp: 520}, kspacing: 0.2 1/Å, espresso: {nosym: true, force: {nspin: 1}}}",
        ),
        ("hubbard", "{Ti-3d: [0, 2.0, {U: 4, J: 1}], Ta-5d: {'KTaO3:1': 2.0, rest: 1.0}}"),
        ("hubbard", "{Ti-3d: {U: 4, occupations: {up: [1, 0, null], down: [0, 0]}}}"),
        ("magnetism", "{orders: [FM, {block: {Cr2O3: AFM}, interface: parallel}, {layers: {CrN: +-}}]}"),
        (
            "magnetism",
            "{orders: [{enumerate: {up_to: 4}}], moments: {sites: {0: 2.0}, Ta: {'KTaO3:1': 1.0, rest: 0}}}",
        ),
        ("magnetism", "{axes: [0, 0, 1]}"),
        ("magnetism", "{axes: [[0, 0, 1], {CaRuO3: [1, 0, 0]}]}"),
        ("steps", "[relax, static, {dos: {kspacing: 0.3}}]"),
        (
            "structures",
            "{s: {stack: [{material: A, thickness: 1 nm}, {material: B, thickness: same}], vacuum: 15 Å}}",
        ),
        ("structures", "{s: {stack: [{material: A, layers: [2, 4]}], supercell: [[1, -1], [1, 1]], in_plane: 3.9}}"),
        ("structures", "{s: {stack: [{material: A, layers: 1}], normal: {A: [0, 0, 0, 1]}, match: {strain: 4 %}}}"),
        ("structures", "{s: {stack: [{material: A, layers: 1}], interfaces: {gap: [auto, 2.1], termination: A/B}}}"),
        ("structures", "{s: {stack: [{material: A, layers: 1}], tilts: {A: {glazer: a-a-c+, angle: [1, 2, 3]}}}}"),
        ("structures", "{s: {stack: [{material: A, layers: 1}], defects: [{kind: V_O, where: all, charge: 1}]}}"),
        ("converge", "{cutoff: , kspacing: {start: 0.5, quantities: {energy: 1 meV/atom, moment: 0.01}}}"),
        ("converge", "{hubbard: {Cr-3d: {start: 0, stop: 5 eV, step: 1}, branches: up}}"),
        ("converge", "{linear_response: {elements: Ti-3d, qmeshes: [1, [2, 2, 1]]}, starts: {distortions: [-0.2]}}"),
    ],
)
def test_short_forms_and_units_fit(key, text):
    assert fits(**{key: text})


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("method", "{cutof: 60 Ry}"),
        ("method", "{cutoff: 60 Rydberg}"),
        ("method", "{protocol: quick}"),
        ("code", "abinit"),
        ("steps", "[statc]"),
        ("steps", "[{dos: {}, bands: {}}]"),
        ("magnetism", "{orders: [AFM-Z]}"),
        ("hubbard", "{Ti-3d: four}"),
        ("structures", "{s: {stack: []}}"),
        ("structures", "{s: {stack: [{material: A, layers: 1}], where: here}}"),
        ("name", "a b"),
    ],
)
def test_mistakes_do_not_fit(key, text):
    assert not fits(**{key: text})


def test_the_command_prints_and_writes_it(heterodft):
    assert heterodft("schema").stdout == published_schema()
    heterodft("schema", "-o", "sub/s.json")
    assert is_ours(heterodft.folder / "sub" / "s.json")
