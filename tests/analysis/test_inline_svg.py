from __future__ import annotations

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from heterodft.analysis.report.inline_svg import inline, thin


def path_of(points):
    return "M " + " \nL ".join(f"{x:.2f} {y:.2f}" for x, y in points) + " \n"


def points_of(text):
    (path,) = re.findall(r'd="([^"]*)"', text)
    return np.array([[float(n) for n in pair.split()] for pair in path.strip("Mz").split("L")])


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=200))
def test_a_thinned_line_stays_within_a_tenth_of_a_point(heights):
    points = np.round(np.column_stack([np.arange(len(heights)) * 0.5, heights]), 2)
    kept = points_of(thin(f'<path d="{path_of(points)}" style="fill: none"/>'))
    assert len(kept) <= len(points)
    assert (kept[[0, -1]] == points[[0, -1]]).all()
    drawn = np.interp(points[:, 0], kept[:, 0], kept[:, 1])
    slopes = np.gradient(np.interp(points[:, 0], kept[:, 0], kept[:, 1]), points[:, 0])
    steepest = max(1.0, float(np.abs(slopes).max(initial=0)), float(np.abs(np.diff(kept[:, 1])).max() / 0.5))
    assert np.abs(drawn - points[:, 1]).max() <= 0.11 * np.hypot(1, steepest)


def test_a_straight_line_keeps_its_ends_and_a_peak_stays():
    straight = [(i, 2.0 * i) for i in range(100)]
    assert points_of(thin(f'<path d="{path_of(straight)}"/>')).tolist() == [[0, 0], [99, 198]]
    peak = [(i, 40.0 * (i == 50)) for i in range(100)]
    assert [50, 40] in points_of(thin(f'<path d="{path_of(peak)}"/>')).tolist()


def test_a_closed_area_stays_closed():
    square = '<path id="m1" d="M 0 0 \nL 5 0 \nL 10 0 \nL 10 10 \nL 0 10 \nz\n" style="stroke: #000000"/>'
    assert thin(square) == '<path id="m1" d="M0.00 0.00L10.00 0.00L10.00 10.00L0.00 10.00z" style="stroke: #000000"/>'


def test_pieces_of_one_look_become_one_line_and_others_stay_apart():
    look = 'clip-path="url(#p)" style="fill: none; stroke: {}; stroke-width: {}"/>'
    pieces = [("#ff0000", 1.52), ("#ff0000", 1.48), ("#0000ff", 1.48)]
    svg = "\n".join(f'<path d="M {i} 0 \nL {i + 1} {i} \n" ' + look.format(*piece) for i, piece in enumerate(pieces))
    thinned = thin(svg)
    assert thinned.startswith('<g clip-path="url(#p)" style="fill: none;stroke-width: 1.5">')
    assert re.findall(r'd="([^"]*)"', thinned) == ["M0.00 0.00L1.00 0.00L2.00 1.00", "M2.00 0.00L3.00 2.00"]
    assert re.findall(r"stroke: (#\w+)", thinned) == ["#ff0000", "#0000ff"]


def test_curves_and_texts_are_left_alone():
    svg = '<path d="M 0 0 \nC 1 1 2 2 3 3 \nz\n"/><text d="M 0 0 L 1 1">a &lt; b</text>'
    assert thin(svg) == svg


def test_ids_of_a_figure_are_its_own():
    svg = '<svg><path id="m1"/><use xlink:href="#m1" clip-path="url(#p1)"/></svg>'
    assert inline(svg, "a_b") == '<svg><path id="a-b-m1"/><use xlink:href="#a-b-m1" clip-path="url(#a-b-p1)"/></svg>'
