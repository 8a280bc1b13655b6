from __future__ import annotations

import pytest

from heterodft.workflows.state import compare_moments


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
