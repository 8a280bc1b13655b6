"""A relaxation without U: computed once for all values of U, each of which starts from its structure alone."""

from __future__ import annotations

import json

import pytest

from heterodft.analysis.report import collect
from heterodft.analysis.result import Result
from heterodft.errors import CampaignError
from heterodft.templates.steps import taken_over
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import campaign_chains
from heterodft.workflows.drivers import build_driver

CAMPAIGN = """\
name: plain
code: espresso
materials: {SrTiO3: {prototype: perovskite, a: 3.9}}
structures:
  bulk: {stack: [{material: SrTiO3, layers: 1}]}
magnetism: {orders: [FM], moments: {Ti: 1.0}}
hubbard: {Ti-3d: [0, 3]}
method: {protocol: fast, cutoff: 25 Ry, kpoints: [1, 1, 1]}
steps: [{relax: {hubbard: none, cell: fixed, coarse_first: false}}, static]
"""
WITHOUT, WITH = "plain/bulk/FM/Ti-3d-0eV", "plain/bulk/FM/Ti-3d-3eV"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(CAMPAIGN)
    return path


@pytest.fixture
def chains(file):
    return [{request.step: request for request in chain} for chain in campaign_chains(load_campaign(file))]


def test_the_relaxation_is_one_calculation_and_the_static_steps_are_two(chains):
    without, with_u = chains
    assert without["relax"].id == with_u["relax"].id
    assert (without["relax"].path, with_u["relax"].path) == (f"{WITHOUT}/relax", f"{WITH}/relax")
    assert not with_u["relax"].hubbard
    assert [u.value for u in with_u["static"].hubbard] == [3.0]
    assert without["static"].id != with_u["static"].id


def test_with_another_u_only_the_structure_is_taken(chains):
    without, with_u = (chain["static"].to_setup().takes for chain in chains)
    assert (without.text, with_u.text) == ("structure, density", "structure")
    assert with_u.reason == "the density is one without U"
    assert taken_over("vasp", "static", "relax", same_hubbard=False).text == "structure"


def test_a_relaxation_of_each_u_is_the_default(file):
    file.write_text(CAMPAIGN.replace("hubbard: none, ", ""))
    relaxations = [chain[0] for chain in campaign_chains(load_campaign(file))]
    assert len({request.id for request in relaxations}) == 2
    assert all("same_hubbard" not in chain[1].about for chain in campaign_chains(load_campaign(file)))


def test_a_coarse_relaxation_before_it_is_without_u_too(file):
    file.write_text(CAMPAIGN.replace("coarse_first: false", "coarse_first: true"))
    coarse, relax, static = campaign_chains(load_campaign(file))[1]
    assert [request.step for request in (coarse, relax)] == ["relax-coarse", "relax"]
    assert not coarse.hubbard
    assert not relax.hubbard
    assert (relax.to_setup().takes.text, static.to_setup().takes.text) == ("structure, density", "structure")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "hubbard: none, ",
            "hubbard: 3, ",
            r"c\.yaml:9: steps\.0: hubbard: 3 of a relaxation; leave it out, or say no",
        ),
        ("static]", "{static: {hubbard: none}}]", r"c\.yaml:9: steps\.1.*hubbard"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(file, old, new, message):
    file.write_text(CAMPAIGN.replace(old, new))
    with pytest.raises(CampaignError, match=message) as caught:
        load_campaign(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["hubbard", "linear_response"])
def test_questions_about_u_need_it_in_each_step(file, kind):
    file.write_text(CAMPAIGN + f"converge: {{{kind}: {{}}}}\n")
    with pytest.raises(CampaignError, match=r"c\.yaml:9: steps: relax: hubbard: none; .*; leave it out"):
        build_driver(load_campaign(file), kind)


def test_the_queue_has_it_once_and_shows_it_twice(heterodft, file):
    done = heterodft("submit", "c.yaml")
    assert "3 queued, 1 shared with another calculation of the same content" in done.stdout
    link = heterodft.folder / "runs" / WITH / "relax"
    assert link.is_symlink()
    assert link.resolve() == (heterodft.folder / "runs" / WITHOUT / "relax").resolve()


@pytest.mark.espresso
def test_both_run_from_one_structure_and_the_report_says_so(pw, heterodft, file):
    (heterodft.folder / "c.yaml").write_text(CAMPAIGN)
    heterodft("submit", "c.yaml")
    heterodft("run", "--quiet")
    runs = heterodft.folder / "runs"
    static = [Result.load(runs / path / "static") for path in (WITHOUT, WITH)]
    assert abs(static[0].energy - static[1].energy) > 0.1
    assert (static[0].structure.frac_coords == static[1].structure.frac_coords).all()
    assert "startingpot" not in (runs / WITH / "static" / "pw.in").read_text()
    heterodft("report", "c.yaml", "--keep", "kept")
    for root in (runs, heterodft.folder / "kept"):
        without, with_u = collect(root / "plain")
        assert (without.hubbard, with_u.hubbard) == ("Ti-3d-0eV", "Ti-3d-3eV")
        told = "the atoms were relaxed without U, where it is Ti-3d-3eV"
        assert told in with_u.caveats
        assert told not in without.caveats
    assert (
        json.loads((heterodft.folder / "kept" / WITH / "relax" / "request.json").read_text())["request"]["hubbard"]
        == []
    )
