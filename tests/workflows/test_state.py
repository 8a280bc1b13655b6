from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterodft.errors import CampaignError
from heterodft.workflows.built_structures import build_structures
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import _on_another_state
from heterodft.workflows.state import AskedState, Unreached, compare_moments
from heterodft.workflows.state.naming import order_of
from heterodft.workflows.state.seeds import hund_occupations, ladder


@pytest.mark.parametrize(
    ("asked", "reached", "verdict", "sites"),
    [
        ([1, 1, 0], [0.9, 0.8, 0.05], "kept", []),
        ([1, -1], [-0.9, 0.8], "kept", []),  # all spins turned over is the same state
        ([1, -1], [0.9, 0.8], "flipped", [1]),
        ([3, 3, -3], [2.8, -2.7, -2.9], "flipped", [1]),
        ([1, 1], [0.02, -0.01], "collapsed", [0, 1]),
        ([1, 1], [0.9, 0.01], "other", [1]),
        (None, None, "kept", []),
        ([0, 0], [0.5, 0.1], "kept", []),
    ],
)
def test_the_verdict_on_a_state(asked, reached, verdict, sites):
    assert compare_moments(asked, reached) == (verdict, sites)


CR4 = ("Cr", "Cr", "Cr", "Cr", "N")


def asked(moments, equals=(0, 0, 0, 0, 4), directions=None):
    return AskedState(CR4, moments, directions, equals)


@pytest.mark.parametrize(
    ("moments", "reached", "words"),
    [
        ((3, 3, 3, 3, 0), (2.2, 2.2, 2.2, 2.2, 0.2), "kept"),
        ((3, 3, 3, 3, 0), (-2.2, -2.2, -2.2, -2.2, 0.2), "kept"),
        ((1, 1, 1, 1, 0), (0.3, 0.3, 0.3, 0.3, 0.0), "kept"),  # starting moments are guesses
        ((3, 3, 3, 3, 0), (2.2, 2.2, -2.2, 2.2, 0.1), "flipped at Cr3"),
        ((3, 3, 3, 3, 0), (0.0, 0.02, 0.0, 0.0, 0.0), "collapsed"),
        ((3, 3, 3, 3, 0), (2.2, 2.2, 2.2, 0.0, 0.0), "other: no moment at Cr4"),
        ((3, 3, 3, 3, 0), (2.2, 2.2, 2.2, 0.9, 0.0), "other: another moment than its equals at Cr4"),
        ((3, 3, 3, 3, 0), (2.2, 2.2, 2.2, 2.2, -1.4), "other: a moment that was not asked for at N5"),
        ((3, 3, 3, 3, 0), (0.0, 0.0, 0.0, 0.0, 1.6), "other: a moment that was not asked for at N5"),
        (None, (0.0, 0.0, 0.0, 0.0, 0.0), "kept"),
        (None, (0.0, 0.0, 0.7, 0.0, 0.0), "other: a moment that was not asked for at Cr3"),
    ],
)
def test_a_state_is_judged_in_words(moments, reached, words):
    found = asked(moments).judge(reached)
    assert found.words == words
    assert found.verdict == words.partition(":")[0].partition(" ")[0]


def test_sizes_count_only_among_sites_that_symmetry_makes_equal():
    interface = asked((3, 3, 3, 3, 0), equals=(0, 0, 0, 3, 4))
    assert interface.judge((2.2, 2.2, 2.2, 0.9, 0.0)).verdict == "kept"


@given(
    st.lists(st.sampled_from([-3.0, 3.0]), min_size=4, max_size=4),
    st.lists(st.floats(0.95, 1.05), min_size=4, max_size=4),
    st.sampled_from([-1, 1]),
)
def test_turning_all_spins_over_changes_no_verdict(signs, sizes, turn):
    moments = (*signs, 0.0)
    reached = [turn * 0.7 * m * s for m, s in zip(signs, sizes, strict=True)] + [0.0]
    assert asked(moments).judge(reached).verdict == "kept"
    wrong = [-reached[0], *reached[1:]]
    found = asked(moments).judge(wrong)
    assert (found.verdict, found.sites) == ("flipped", (0,))


def test_a_compensated_order_with_a_total_moment_is_another_state():
    state = asked((3, -3, 3, -3, 0))
    reached = (2.2, -2.2, 2.2, -2.2, 0.0)
    assert state.compensated
    assert state.judge(reached, total=0.02).verdict == "kept"
    assert state.judge(reached, total=1.5).words == "other: total moment 1.50 μB of a compensated order"
    assert not asked((3, -3, 3, -3, 0), equals=(0, 1, 2, 3, 4)).compensated


def test_moments_that_turned_aside_are_another_state():
    along = asked((3, 3, 3, 3, 0), directions=((0, 0, 1),) * 4 + ((0, 0, 0),))
    vectors = np.array([[0, 0, 2.2]] * 3 + [[2.2, 0, 0.1], [0, 0, 0]])
    assert along.judge(None, vectors).sites == (3,)
    assert AskedState.from_data(along.to_data()) == along


@pytest.mark.parametrize(
    ("moments", "name"),
    [
        ((2, 2, 2, 2, 0), "FM"),
        ((-2, -2, 2, 2, 0), "AFM-A"),
        ((2, -2, 2, -2, 0), "+ - + -"),
        ((0.05, 0, 0, 0, 0), "NM"),
        ((2, 2, 2, 2, -1.5), "+ + + + -"),
    ],
)
def test_the_order_reached_is_recognised_by_its_signs(moments, name):
    assert order_of(moments, {"AFM-A": "++--0"}) == name


@pytest.mark.parametrize("electrons", [0.5, 4.4, 8.0, 9.7])
@pytest.mark.parametrize("moment", [-3.0, 0.0, 1.0, 5.0])
def test_occupations_to_start_from_hold_the_electrons_of_the_shell(electrons, moment):
    up, down = hund_occupations(electrons, moment, 5)
    assert sum(up) + sum(down) == pytest.approx(electrons, abs=1e-3)
    assert all(0 <= value <= 1 for value in (*up, *down))
    assert up == sorted(up)
    assert (sum(up) - sum(down)) * moment >= 0


def test_other_starts_come_in_a_stated_order():
    def words(**options):
        return [seed.words for seed in ladder(**options)]

    assert words(from_density=False, occupations=False) == ["with larger moments", "with smaller moments"]
    assert words(from_density=True, occupations=True)[0] == "from scratch"


def load(tmp_path, magnetism, structure=""):
    text = tiny(magnetism).replace("layers: 1}]", f"layers: 1}}]{structure}")
    (tmp_path / "c.yaml").write_text(text)
    return load_campaign(tmp_path / "c.yaml")


def tiny(magnetism):
    return (
        "name: tiny\nmaterials: {SrTiO3: {}}\nstructures:\n  bulk: {stack: [{material: SrTiO3, layers: 1}]}\n"
        f"magnetism: {{orders: [FM], moments: {{Ti: 1.0}}{magnetism}}}\nsteps: [static]\n"
    )


@pytest.mark.parametrize(
    ("own", "whole", "data"),
    [
        ("", "", None),
        ("", ", unreached: flag", None),
        ("", ", unreached: reseed", {"choice": "reseed", "reseeds": 2}),
        ("", ", unreached: reseed, reseeds: 4", {"choice": "reseed", "reseeds": 4}),
        (", magnetism: {orders: [FM], unreached: stop}", ", unreached: accept", {"choice": "stop"}),
        (", magnetism: {orders: [FM]}", ", unreached: accept", {"choice": "accept"}),
    ],
)
def test_the_choice_of_a_structure_wins_over_that_of_the_campaign_and_changes_no_id(tmp_path, own, whole, data):
    campaign = load(tmp_path, whole, own)
    [built] = build_structures(campaign)
    assert _on_another_state(campaign, built).get("unreached") == data
    assert Unreached.from_data(data or {}).to_data() == (data or {})


@pytest.mark.parametrize(
    ("magnetism", "reason"),
    [
        (", unreached: reeseed", "unreached"),
        (", unreached: flag, reseeds: 2", "reseeds: 2 means nothing here; write unreached: reseed beside it"),
        (", unreached: reseed, reseeds: 0", "reseeds"),
    ],
)
def test_a_choice_that_means_nothing_is_refused(tmp_path, magnetism, reason):
    with pytest.raises(CampaignError, match=reason) as caught:
        load(tmp_path, magnetism)
    assert "\n" not in str(caught.value)
