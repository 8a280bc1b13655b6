"""Spheres of pw.x, whose radius is that of their kind of atom."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from campaign_folders import result

from heterodft.analysis.report.caveats import find_caveats
from heterodft.analysis.sphere_radii import sphere_radii, uneven_spheres
from heterodft.structures import Block, Interfaces, build_material, build_superlattice
from heterodft.units import BOHR

CELL = build_superlattice(
    [Block(build_material("LaMnO3", prototype="perovskite"), 1), Block(build_material("SrMnO3"), 1)],
    in_plane="SrTiO3",
    interfaces=Interfaces(gap=1.906653),  # at which the numbers of pw.x below were printed
)


def started(second):
    manganese = [i for i, site in enumerate(CELL) if site.specie.symbol == "Mn"]
    moments = np.zeros(len(CELL))
    moments[manganese] = 4.0, second
    return replace(result(CELL, "static"), request={"request": {"moments": moments.tolist()}})


def test_of_one_kind_the_closest_neighbour_decides():
    assert uneven_spheres(started(4.0)) == {}


def test_antiparallel_atoms_have_spheres_of_their_own():
    # pw.x 6.7 printed 1.4863 and 1.4080 bohr for the two Mn of this cell, and twice 1.4080 where they are parallel.
    ((least, most),) = uneven_spheres(started(-4.0)).values()
    assert (least / BOHR, most / BOHR) == (pytest.approx(1.4080, abs=2e-4), pytest.approx(1.4863, abs=2e-4))
    assert sphere_radii(CELL)["Mn"] == pytest.approx(least)


def test_the_reader_of_moments_in_such_spheres_is_told():
    (caveat,) = [c for c in find_caveats(started(-4.0), {}, state="kept", steps=["relax"]) if "spheres" in c]
    assert caveat.startswith("moments and charges of Mn in spheres do not compare")
    assert "0.745 and 0.786 Å" in caveat


def test_other_codes_and_runs_without_starting_moments_have_nothing_to_tell():
    assert uneven_spheres(replace(started(-4.0), code="vasp")) == {}
    assert uneven_spheres(result(CELL, "static")) == {}
