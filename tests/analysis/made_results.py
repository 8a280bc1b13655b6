"""Results made up for tests of what comes after reading."""

from __future__ import annotations

import numpy as np

from heterodft.analysis.result import ProjectedDos, Result, SiteValues


def made_result(structure, *, moments=None, charges=None, kind="sphere", dos=False, **values):
    """A finished run with site values; without numbers, 0.1 μB and 5 electrons more a site from the first on."""
    sites = len(structure)
    moments = np.arange(sites) * 0.1 if moments is None else moments
    charges = 5.0 + np.arange(sites) if charges is None else charges
    found = {kind: SiteValues(kind, tuple(charges), None if moments is False else tuple(moments))}
    given = {
        "code": "espresso",
        "version": "7.2",
        "step": "static",
        "electrons": float(np.sum(charges)) + 1.0,
        "energy": -1.0,
        "fermi_levels": (2.0,),
        "total_moment": None if moments is False else float(np.sum(moments)) + 0.5,
        "absolute_moment": None,
        "sites": found,
        "converged": True,
        "iterations": 10,
        "accuracy": 1e-9,
        "cpu_seconds": None,
        "wall_seconds": None,
    }
    if dos:
        energies = np.linspace(-5, 5, 11)
        rising = np.arange(sites)[:, None, None, None] * np.ones((sites, 16, 2, len(energies)))
        given["dos"] = ProjectedDos(energies, rising, rising.sum(axis=(0, 1)))
    return Result(structure=structure, **{**given, **values})
