"""The published section of a campaign file; a mistake is one line with its place."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from heterodft.errors import CampaignError
from heterodft.workflows.campaign_file import load_campaign, load_published
from heterodft.workflows.chains import campaign_chains

EXAMPLES = Path(__file__).parents[2] / "examples"


def campaign(folder, tiny_text, published):
    path = folder / "campaign.yaml"
    path.write_text(f"{tiny_text}{published}")
    return path


def one(figure):
    return f"published:\n  source: a paper\n  figures:\n    - {figure}\n"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/published.yaml")), ids=lambda path: path.parent.name)
def test_the_figures_of_every_example_are_accepted(path):
    published = load_published(path).to_published()
    assert len(published.figures) > 5
    assert all(figure.because for figure in published.figures if figure.ours is None)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/small.yaml")), ids=lambda path: path.parent.name)
def test_a_small_campaign_that_relaxes_nothing_reproduces_nothing(path):
    campaign = load_campaign(path)
    relaxed = [step.name for spec in campaign.structures.values() for step in spec.steps or campaign.steps]
    figures = [one for one in campaign.published.to_published().figures if one.ours is not None]
    shown = [one for one in figures if fnmatchcase(campaign.name, one.campaign)]
    limited = [one for one in shown if one.limit is not None and fnmatchcase(campaign.name, one.limit.campaign)]
    assert limited
    if "relax" not in relaxed:
        assert {one.what for one in shown} == {one.what for one in limited}


def test_what_the_campaign_puts_in_is_not_called_reproduced():
    (misfit,) = [
        one
        for one in load_published(EXAMPLES / "cazro3-ktao3" / "published.yaml").to_published().figures
        if one.ours is not None and one.ours.quantity == "misfit"
    ]
    assert (misfit.limit.best, misfit.limit.campaign) == ("put in", "*")


def test_figures_stand_in_the_campaign_or_in_a_file_beside_it(tmp_path, tiny_text):
    text = "source: a paper\nfigures:\n  - {what: gap, theirs: 3.2 eV, ours: {quantity: gap}}\n"
    (tmp_path / "published.yaml").write_text(text)
    beside = load_campaign(campaign(tmp_path, tiny_text, "published: published.yaml\n")).published
    inside = load_campaign(
        campaign(tmp_path, tiny_text, one("{what: gap, theirs: 3.2 eV, ours: {quantity: gap}}"))
    ).published
    assert beside.to_published() == inside.to_published()


@pytest.mark.parametrize(
    ("figure", "message"),
    [
        ("{what: x, theirs: 1, ours: {quantity: gapp}}", "unknown quantity 'gapp'; did you mean 'gap'?"),
        ("{what: x, theirs: 1, our: {quantity: gap}}", "unknown key 'our'; did you mean 'ours'?"),
        ("{what: x, theirs: 3 Ry, ours: {quantity: gap}}", "unknown unit 'Ry' of this quantity"),
        ("{what: x, theirs: isolator, ours: {quantity: gap}}", "'isolator' is nothing that this quantity can be"),
        ("{what: x, theirs: metal, ours: {quantity: moment}}", "'metal' is nothing that this quantity can be"),
        ("{what: x, theirs: [2, 1], ours: {quantity: gap}}", "write the lower end of a range first"),
        ("{what: x, theirs: true, ours: {quantity: gap}}", "True; give a number with its unit, a sign"),
        ("{what: x, theirs: 1, tolerance: 0, ours: {quantity: gap}}", "a tolerance of 0; give one greater than 0"),
        (
            "{what: x, theirs: 1, ours: {quantity: gap, layers: a}}",
            "layers means nothing to gap; it takes spin",
        ),
        ("{what: x, theirs: '> 0', ours: {quantity: energy}}", "energy needs minus"),
        ("{what: x, theirs: '> 0', ours: {quantity: energy, minus: {}}}", "minus names nothing"),
        ("{what: x, theirs: 1, ours: {quantity: moment, per: layer}}", "per: 'layer'; give cell, f.u., atom"),
        ("{what: x, theirs: 1, ours: {quantity: moment, elements: Xx}}", "'Xx' is no element"),
        (
            "{what: x, theirs: 1, ours: {quantity: stoner, elements: Ni, parameters: {Ni: 0}}}",
            "greater than 0, in eV",
        ),
        ("{what: x, theirs: 1}", "give ours: {quantity: …}, or say in because: why it is not computed"),
        ("{what: x, theirs: 1, because: y, tolerance: 1}", "limit and tolerance mean nothing without ours"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path, tiny_text, figure, message):
    path = campaign(tmp_path, tiny_text, one(figure))
    with pytest.raises(CampaignError) as error:
        load_campaign(path)
    assert message in str(error.value)
    assert str(error.value).startswith(f"{path}:14: published.figures.0")
    assert "\n" not in str(error.value)


def test_a_mistake_in_the_file_of_figures_names_that_file(tmp_path, tiny_text):
    (tmp_path / "figures.yaml").write_text("source: a paper\nfigure: []\n")
    with pytest.raises(CampaignError, match=r"figures.yaml:2: figure: unknown key 'figure'; did you mean 'figures'"):
        load_campaign(campaign(tmp_path, tiny_text, "published: figures.yaml\n"))
    with pytest.raises(CampaignError, match=r"campaign.yaml:11: published: there is no file .*gone.yaml"):
        load_campaign(campaign(tmp_path, tiny_text, "published: gone.yaml\n"))


@pytest.mark.usefixtures("pw")
def test_published_figures_are_no_part_of_any_identity(tmp_path, tiny_text):
    texts = ["", one("{what: gap, theirs: 3.2 eV, ours: {quantity: gap}}")]
    ids = []
    for text in texts:
        chains = campaign_chains(load_campaign(campaign(tmp_path, tiny_text, text)))
        ids.append([request.id for chain in chains for request in chain])
    assert ids[0] == ids[1] != []
