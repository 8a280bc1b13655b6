"""Electron-doped SrTiO3 by a real pw.x and projwfc.x: the carriers are the electrons that were added."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from heterodft.analysis.band_edges import BandEdges
from heterodft.analysis.carriers import SheetCarriers
from heterodft.analysis.gaps import find_gap
from heterodft.analysis.orbitals import OrbitalPolarization
from heterodft.analysis.pdos import LayerDos
from heterodft.analysis.readers import read_folder
from heterodft.errors import PseudopotentialError
from heterodft.templates.pseudopotentials import find_pseudopotentials

ADDED = 0.2
PW = """\
&control
 calculation='scf', prefix='x', outdir='.', pseudo_dir='{pseudo}'
/
&system
 ibrav=1, A=3.905, nat=5, ntyp=3, ecutwfc=20, tot_charge=-{added}, nbnd=26
 occupations='smearing', smearing='gaussian', degauss=0.002
/
&electrons
 conv_thr=1e-6
/
ATOMIC_SPECIES
Sr 87.62 Sr.upf
Ti 47.867 Ti.upf
O 15.999 O.upf
ATOMIC_POSITIONS crystal
Sr 0 0 0
O 0.5 0.5 0
Ti 0.5 0.5 0.5
O 0.5 0 0.5
O 0 0.5 0.5
K_POINTS automatic
6 6 6 0 0 0
"""
PROJWFC = (
    "&projwfc\n prefix='x', outdir='.', filpdos='x', DeltaE=0.02, degauss=0.004, ngauss=0, Emin=-80, Emax=25\n/\n"
)


pytestmark = pytest.mark.espresso


def pseudopotentials():
    try:
        found = find_pseudopotentials(["Sr", "Ti", "O"], xc="PBE")
    except PseudopotentialError as error:
        pytest.skip(str(error))
    return found["Ti"].path.parent


@pytest.fixture(scope="module")
def doped(pw, tmp_path_factory):
    folder = tmp_path_factory.mktemp("doped")
    (folder / "pw.in").write_text(PW.format(pseudo=pseudopotentials(), added=ADDED))
    (folder / "projwfc.in").write_text(PROJWFC)
    for name, program in (("pw", pw), ("projwfc", shutil.which("projwfc.x"))):
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with (folder / f"{name}.out").open("w") as out:
            command = [program, "-in", f"{name}.in"]
            subprocess.run(command, cwd=folder, stdout=out, check=True, env=environment, timeout=600)
    result = read_folder(folder, projections=True)
    for name, values in (
        ("material", ["SrTiO3"] * 5),
        ("block", [0] * 5),
        ("layer", [1] * 5),
        ("plane", [0, 0, 1, 1, 1]),
    ):
        result.structure.add_site_property(name, values)
    return result


def spread_over_all(result):
    """The bands with projections that put every state evenly on all atoms."""
    parts = np.full((*result.bands.energies.shape, 5, 1), 0.2)
    return replace(result, bands=replace(result.bands, projections=parts, orbitals=("s",)))


def test_the_carriers_are_the_electrons_that_were_added(doped):
    found = SheetCarriers.from_result(doped)
    assert find_gap(doped).metal
    assert found.total_electrons == pytest.approx(ADDED, rel=0.08)  # the density is broadened, the Fermi level sharp
    assert 0.8 < found.electrons.sum() / found.total_electrons < 1.0
    assert found.total_holes == 0.0
    exact = SheetCarriers.from_bands(spread_over_all(doped), edge=float(found.edges[0]))
    assert exact.total_electrons == pytest.approx(ADDED, abs=1e-4)
    assert exact.electrons.sum() == pytest.approx(ADDED, abs=1e-4)


def test_carriers_of_the_projected_bands_are_those_of_the_density(doped):
    density = SheetCarriers.from_result(doped, by="plane")
    bands = SheetCarriers.from_bands(doped, by="plane")
    assert bands.total_electrons == pytest.approx(ADDED, abs=1e-4)
    assert bands.electrons.sum() == pytest.approx(ADDED, abs=1e-4)
    shares = density.electrons / density.electrons.sum()
    np.testing.assert_allclose(bands.electrons / ADDED, shares, atol=0.03)
    assert bands.electrons_per_cm2.sum() == pytest.approx(ADDED / 3.905**2 * 1e16, rel=1e-3)


def test_the_carriers_are_in_the_plane_of_titanium(doped):
    strontium, titanium = SheetCarriers.from_result(doped, by="plane").electrons
    assert titanium > 50 * strontium


def test_band_edges_of_the_density_are_those_of_the_bands(doped):
    energies = np.sort(doped.bands.energies, axis=2)[0] - doped.fermi_level
    edges = BandEdges.from_result(doped, states=0.002)
    assert edges.metallic.all()
    assert edges.valence[0, 0] == pytest.approx(energies[:, 19].max(), abs=0.1)
    assert edges.conduction[0, 0] == pytest.approx(energies[:, 20].min(), abs=0.15)


def test_a_cubic_crystal_has_no_orbital_polarization(doped):
    found = OrbitalPolarization.from_result(doped, "Ti")
    assert found.polarization[0] == pytest.approx(0.0, abs=1e-3)
    t2g, eg = (LayerDos.from_result(doped).select(elements=("Ti",), orbitals=(name,))[0] for name in ("t2g", "eg"))
    window = (doped.dos.energies > doped.fermi_level - 2) & (doped.dos.energies < doped.fermi_level)
    assert eg[window].sum() < 0.02 * t2g[window].sum()
