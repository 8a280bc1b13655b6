from __future__ import annotations

import layered_results as layered
import numpy as np
import pytest

from heterodft.analysis.band_edges import BandEdges
from heterodft.analysis.carriers import SheetCarriers
from heterodft.analysis.gap_levels import levels_in_gap
from heterodft.analysis.pdos import LayerDos
from heterodft.analysis.result import ORBITALS, Bands
from heterodft.errors import ReaderError

HOST = 20
"""Bands below and above the gap of 3 eV, one electron each."""


def doped(level, *, filled, spins=2, points=1):
    """A host with bands up to −1 and from 2 eV on, and one level of spin up between them."""
    valence, conduction = np.linspace(-5.0, -1.0, HOST), np.linspace(2.0, 6.0, HOST)
    bands = np.array([[*valence, 9.0, *conduction] for _ in range(spins)])[:, None].repeat(points, axis=1)
    bands[0, :, HOST] = level
    bands.sort(axis=2)
    electrons = 2 * HOST + filled if spins == 2 else 2 * (HOST + filled)
    kpoints = np.array([[i / 2, 0, 0] for i in range(points)])
    held = Bands(bands, (bands < -1.0 + 1e-9) * 1.0, kpoints, np.full(points, 1 / points))
    values = layered.empty(spins=spins)
    for spin in range(spins):
        values[0, ORBITALS.index("px"), spin] = layered.box(-5.0, -1.0, 10.0)
        values[0, ORBITALS.index("dxy"), spin] = layered.box(2.0, 6.0, 10.0)
    return layered.make(values, bands=held, electrons=electrons, fermi=-0.9)


@pytest.mark.parametrize(
    ("level", "filled", "word", "apart"), [(-0.8, 0, "empty", "2.80"), (1.7, 1, "filled", "2.70")]
)
def test_levels_beside_the_gap_are_told_and_how_far_they_are_from_the_bands(level, filled, word, apart):
    (note,) = levels_in_gap(doped(level, filled=filled))
    assert f"bands of 1 {word} states, {apart} eV apart from those behind them" in note
    assert "analyze --edge, in Python start= or edge=" in note


def test_profiles_of_a_cell_with_an_acceptor_level_say_so():
    result = doped(-0.8, filled=0)
    for found in (LayerDos.from_result(result), BandEdges.from_result(result)):
        assert any("levels of a defect" in note for note in found.notes)
    with pytest.raises(ReaderError, match="does not resolve the gap"):  # a single k-point tells no carriers
        SheetCarriers.from_result(result)


def test_a_host_alone_and_a_metal_have_no_such_levels():
    assert levels_in_gap(doped(9.0, filled=0)) == ()
    assert levels_in_gap(doped(-3.0, filled=0.5)) == ()


def test_real_gallium_nitride_with_magnesium_has_its_hole_level(shared_data):
    from vasprun_by_pymatgen import result_from

    (note,) = levels_in_gap(result_from(shared_data / "vasp" / "mg_gan_relax" / "vasprun.xml.gz"))
    assert "next to the gap of 0.16 eV are bands of 1 empty states, 3.72 eV apart" in note
