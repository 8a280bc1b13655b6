"""A result of one atom that no program computed."""

from __future__ import annotations

from pymatgen.core import Lattice, Structure

from heterodft.analysis.result import Result


def made_up(**values):
    return Result(
        code="espresso", version="6.7", step="static",
        structure=Structure(Lattice.cubic(4.0), ["Fe"], [[0, 0, 0]]),
        electrons=8.0, energy=-1.0, fermi_levels=(0.0,), total_moment=None, absolute_moment=None, sites={},
        converged=True, iterations=8, accuracy=0.0, cpu_seconds=5.0, wall_seconds=6.0, **values,
    )  # fmt: skip
