"""A Result made from vasprun.xml by pymatgen alone, so that tests of quantities need no reader of ours."""

from __future__ import annotations

import warnings

import numpy as np
from pymatgen.electronic_structure.core import Orbital, OrbitalType, Spin
from pymatgen.io.vasp.outputs import Vasprun

from heterodft.analysis.result import ORBITALS, SHELLS, Bands, ProjectedDos, Result

SPINS = (Spin.up, Spin.down)


def result_from(path, *, dos=False, projections=False):
    """Collinear (or of one spin channel) vasprun.xml(.gz); orbitals up to d."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = Vasprun(path, parse_potcar_file=False, parse_projected_eigen=projections)
    both = np.stack([run.eigenvalues[spin] for spin in SPINS if spin in run.eigenvalues])
    weights = np.array(run.actual_kpoints_weights)
    given = run.parameters
    parts = None
    if projections:  # (k, band, site, orbital) in VASP's order: s py pz px dxy dyz dz2 dxz dx2
        order = [0, 2, 3, 1, 6, 7, 5, 8, 4]
        parts = np.stack([run.projected_eigenvalues[spin] for spin in SPINS if spin in run.projected_eigenvalues])
        parts = parts[..., order]
    bands = Bands(
        both[..., 0], both[..., 1], np.array(run.actual_kpoints), weights / weights.sum(), parts, ORBITALS[:9]
    )
    smearing = "tetrahedron" if given["ISMEAR"] in (-4, -5) else "gaussian"
    return Result(
        "vasp", run.vasp_version.strip(), "static", run.final_structure, float(given["NELECT"]), None, (run.efermi,),
        None, None, {}, run.converged_electronic, None, None, None, None, bands, _dos(run) if dos else None,
        method={"smearing": smearing},
    )  # fmt: skip


def _dos(run):
    spins = [spin for spin in SPINS if spin in run.tdos.densities]
    first = run.pdos[0]
    if OrbitalType.s in first:
        names, keys = SHELLS, [OrbitalType[name] for name in SHELLS]
    else:
        names, keys = ORBITALS[:9], [Orbital[name.replace("-", "_")] for name in ORBITALS[:9]]
    none = np.zeros(len(run.tdos.energies))
    values = [[[site[key][s] if key in site else none for s in spins] for key in keys] for site in run.pdos]
    total = np.array([run.tdos.densities[spin] for spin in spins])
    return ProjectedDos(np.array(run.tdos.energies), np.array(values), total, names)
