from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterodft.errors import CampaignError
from heterodft.units import RYDBERG
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.convergence_spec import AXES, ConvergenceSpec, CutoffSpec, SpacingSpec, for_kind
from heterodft.workflows.drivers import build_driver


def _load(tmp_path, tiny_text, section):
    path = tmp_path / "tiny.yaml"
    path.write_text(tiny_text + f"converge:\n  {section}\n")
    return load_campaign(path)


def _read(tmp_path, tiny_text, section):
    """Read the campaign and build the driver of its only section."""
    campaign = _load(tmp_path, tiny_text, section)
    return build_driver(campaign, campaign.converge.asked[0])


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("cutoff: {start: 60 Ry, stop: 40 Ry, step: 5 Ry}", "the range goes backwards: cutoff rises"),
        ("kspacing: {start: 0.1, stop: 0.5, factor: 0.8}", "the range goes backwards: kspacing falls"),
        ("cutoff: {values: [40 Ry, 40 Ry]}", "the values go backwards"),
        ("cutoff: {start: 20 Ry, stop: 40 Ry, step: 0 Ry}", "converge.cutoff.step: a step of 0 Ry never gets"),
        ("cutoff: {start: 20 Ry, stop: 40 Ry, step: -5 Ry}", "a step of -5 Ry never gets to the end"),
        ("kspacing: {start: 0.5, stop: 0.1, factor: 1.2}", "a factor of 1.2 does not get finer; give one below 1"),
        ("cutoff: {start: 20 Ry, stop: 40 Ry, factor: 1}", "a factor of 1 does not get finer; give one above 1"),
        ("cutoff: {start: 20 Ry, stop: 40 Ry, step: 50 Ry}", "a single value, which agrees with nothing"),
        ("cutoff: {values: [40 Ry]}", "a single value agrees with nothing"),
        ("cutoff: {start: 20 Ry, stop: 40 Ry, step: 0.1 Ry}", "more than 50 points"),
        ("cutoff: {start: 20 Ry, stop: 40 Ry, step: 5 Ry, factor: 1.1}", "give one of them"),
        ("cutoff: {start: 20 Ry, values: [20 Ry, 30 Ry]}", "values and start both set the points"),
        ("cutoff: {start: 20}", r"a cutoff of 20 eV is too low for any pseudopotential; was 20 Ry meant\?"),
        ("layers: {start: 1.5}", "1.5 is no number of layers; give a whole number"),
        ("vacuum: {start: 3 eV}", "unknown unit 'eV' of length"),
        ("cutoff: {quantities: {energy: 0}}", "energy: a tolerance of 0; nothing agrees to that"),
        ("cutoff: {quantities: {moment: -0.01}}", "moment: a tolerance of -0.01"),
        ("cutoff: {quantities: {enegy: 1 meV}}", r"unknown quantity 'enegy'; did you mean 'energy'\?"),
        ("cutoff: {quantities: {energy: 1 meV/ion}}", "'1 meV/ion' is no energy of an atom, f.u. or cell"),
        ("cutoff: {quantities: {pressure: 1 bar}}", r"unknown unit 'bar' of pressure; did you mean 'kbar'\?"),
        ("cutoff: {quantities: {}}", "give quantities and how much they may change"),
        ("cutoff: {agree: 1}", "agree"),
        ("cutoff: {strat: 20 Ry}", r"unknown key 'strat'; did you mean 'start'\?"),
        ("cutoff: {material: SrTiO3}", "material is whose layers are varied"),
        ("layers: {start_from: previous}", "a density of another cell is of no use to layers"),
    ],
)
def test_a_range_or_tolerance_that_cannot_be_is_refused_with_its_place(tmp_path, tiny_text, section, message):
    with pytest.raises(CampaignError, match=message) as error:
        _read(tmp_path, tiny_text, section)
    assert "tiny.yaml:12" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("cutoff: {orders: [FM], quantities: {order_energy: 1 meV/f.u.}}", "every structure has a single order"),
        ("cutoff: {orders: [NM], quantities: {moment: 0.01}}", "no order has moments"),
        ("cutoff: {quantities: {volume: 0.1}}", "no step changes the cell"),
        ("cutoff: {quantities: {lattice: 0.01 Å}}", "no step changes the cell"),
        ("cutoff: {orders: [AFM-G]}", "no configuration is called 'AFM-G'; known: FM, NM"),
        ("cutoff: {structures: [bulb]}", r"no configuration is called 'bulb'; did you mean 'bulk'\?"),
        ("vacuum: {start: 8}", "no structure has a vacuum"),
        ("layers: {material: SrTiO}", "no block of SrTiO has a number of layers to vary"),
        ("layers: {quantities: {forces: 0.01}}", "forces belong to ions, of which each point has others"),
        ("layers: {quantities: {energy: 1 meV/cell}}", "the energy of the cell grows with every layer"),
        ("kspacing: {start: 3.0, stop: 2.0, factor: 0.9}", "all values give the same calculation"),
    ],
)
def test_a_quantity_that_the_campaign_does_not_give_is_refused(tmp_path, tiny_text, section, message):
    with pytest.raises(CampaignError, match=message):
        _read(tmp_path, tiny_text, section)


def test_the_section_of_the_design_is_read(tmp_path, tiny_text):
    quantities = "{energy: 1 meV/atom, order_energy: 2 meV/f.u., moment: 0.01, pressure: 1 GPa}"
    driver = _read(
        tmp_path, tiny_text, f"cutoff: {{start: 20 Ry, stop: 40 Ry, step: 10 Ry, quantities: {quantities}}}"
    )
    assert [point.label for point in driver.points] == ["20 Ry", "30 Ry", "40 Ry"]
    assert driver.rule["tolerances"] == [
        ["energy", 0.001, "atom"],
        ["order_energy", 0.002, "f.u."],
        ["moment", 0.01, "atom"],
        ["pressure", 10.0, "atom"],
    ]


@pytest.mark.parametrize("kind", ["cutoff", "kspacing", "smearing"])
def test_without_a_section_there_are_defaults(tiny_file, kind):
    campaign = load_campaign(tiny_file)
    driver = build_driver(campaign, kind)
    assert len(driver.points) >= 3
    assert [one[0] for one in driver.rule["tolerances"]] == ["energy", "order_energy", "moment"]
    assert for_kind(ConvergenceSpec(), kind, "espresso").points == for_kind(None, kind, "espresso").points


def test_a_start_beyond_the_default_stop_goes_on_to_twice_as_fine():
    points = for_kind(CutoffSpec(start="150 Ry"), "cutoff", "espresso").points
    assert points[0] == pytest.approx(150 * RYDBERG)
    assert points[-1] == pytest.approx(300 * RYDBERG)
    assert for_kind(SpacingSpec(start=0.08), "kspacing", "espresso").points[-1] >= 0.04


def test_values_of_a_spec_without_a_kind_are_read_for_the_kind():
    spec = ConvergenceSpec(start="20 Ry", stop="40 Ry", step="10 Ry")
    assert for_kind(spec, "cutoff", "espresso").points == pytest.approx([20 * RYDBERG, 30 * RYDBERG, 40 * RYDBERG])


@given(
    st.sampled_from(sorted(set(AXES) - {"layers"})),
    st.floats(0.01, 1),
    st.floats(0.05, 0.95),
    st.integers(2, 12),
)
def test_a_range_by_factor_gets_finer_and_stays_within(kind, part, factor, count):
    axis = AXES[kind]
    start = axis.lowest * (axis.highest / axis.lowest) ** (part if axis.finer == -1 else part * 0.1)
    factor = factor if axis.finer == -1 else 1 / factor
    stop = start * factor ** (count - 1)
    if not axis.lowest <= stop <= axis.highest:
        return
    spec = for_kind(ConvergenceSpec(start=start, stop=stop, factor=factor), kind, "espresso")
    assert len(spec.points) == count
    assert all((b - a) * axis.finer > 0 for a, b in pairwise(spec.points))
    assert spec.points[-1] == pytest.approx(stop, rel=1e-5)
