"""What a calculation will take, before it runs: electrons, bands, plane waves, k-points, memory, core-hours."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from math import pi, prod, sqrt
from statistics import median
from typing import TYPE_CHECKING, Any

from heterodft.errors import CalculationError, HeterodftError, ReaderError
from heterodft.files import read_json
from heterodft.templates.electrons import band_count, electron_count
from heterodft.units import BOHR, RYDBERG
from heterodft.workflows.calculation import read_request
from heterodft.workflows.inputs import find_files

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.templates.setup import Setup
    from heterodft.workflows.calculation import Request
    from heterodft.workflows.settings import Settings

__all__ = ["Calibration", "Cost", "calibrate", "estimate_cost"]

_SECONDS = 3.8e-8
"""Core-seconds of pw.x 6.7 for one band, band, plane wave, k-point, spin and iteration; measured on the ten-atom
(LaAlO3)1/(SrTiO3)1 cell: 6.1 core-seconds for 45 bands, 3300 plane waves, 2 spins, 12 iterations."""
_ITERATIONS = {"relax-coarse": 150, "relax": 100, "static": 14, "dos": 8, "bands": 8, "response": 30,
               "shift-bare": 4, "shift": 12}  # fmt: skip
"""Iterations of an SCF cycle, of all cycles of a relaxation; a fixed density takes as long as about eight, the
response at one wave vector as thirty."""
_POST_PROCESSING_SECONDS = 5.0
_MOST_PAST_RUNS = 200
_RANKS = re.compile(r"running on\s+(\d+) processor")


@dataclass(frozen=True)
class Cost:
    """Size and estimated cost of one calculation.

    Attributes
    ----------
    atoms, electrons, species, bands, plane_waves
        Of the cell; species are kinds of Quantum ESPRESSO or blocks of VASP.
    kpoints
        Irreducible ones, or those of a path.
    spins
        2 when spin-polarized.
    memory
        GB, all ranks together; good to a factor of two.
    core_hours
        Good to a factor of three, better where past runs of the same kind calibrate it.
    estimated_electrons
        Whether the electrons are guessed from the names of POTCARs that are not here.
    """

    atoms: int
    electrons: float
    species: int
    bands: int
    plane_waves: int
    kpoints: int
    spins: int
    memory: float
    core_hours: float
    estimated_electrons: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return asdict(self)


@dataclass(frozen=True)
class Calibration:
    """How much longer past runs took than estimated.

    Attributes
    ----------
    factors
        By code and step.
    runs
        Number of past runs they come from.
    """

    factors: dict[tuple[str, str], float] = field(default_factory=dict)
    runs: int = 0

    def factor(self, code: str, step: str) -> float:
        """Return the factor of a step, or of the other steps of the code, or 1."""
        others = [value for (other, _), value in self.factors.items() if other == code]
        return self.factors.get((code, step), median(others) if others else 1.0)


def estimate_cost(request: Request, settings: Settings, *, calibration: Calibration | None = None) -> Cost:
    """Estimate the size and cost of a calculation.

    Plane waves: N = V k³ / 6π² with k² = E_cut in Rydberg atomic units.
    """
    setup = request.to_setup()
    files = find_files(request, settings)
    electrons = electron_count(setup, files)
    bands = band_count(setup, electrons)
    waves = setup.structure.volume / BOHR**3 * sqrt(setup.settings.cutoff / RYDBERG) ** 3 / (6 * pi**2)
    spins = 2 if setup.moments is not None and not setup.noncollinear else 1
    path = setup.settings.path
    kpoints = setup.irreducible_kpoints if path is None else len(path.kpoints)
    spinors = 2 if setup.noncollinear else 1
    seconds = _POST_PROCESSING_SECONDS
    if request.step in _ITERATIONS:
        seconds = _SECONDS * bands**2 * waves * spinors * kpoints * spins * _ITERATIONS[request.step]
        seconds *= _responses(setup)
    factor = 1.0 if calibration is None else calibration.factor(request.code, request.step)
    return Cost(
        atoms=len(setup.structure),
        electrons=electrons,
        species=len(setup.species.species) if request.code == "espresso" else len(setup.blocks),
        bands=bands,
        plane_waves=round(waves),
        kpoints=kpoints,
        spins=spins,
        memory=_memory(setup, bands, waves * spinors, kpoints * spins),
        core_hours=seconds * factor / 3600,
        estimated_electrons=any(getattr(file, "path", None) is None for file in files.values()),
    )


def _responses(setup: Setup) -> int:
    """Return how many responses hp.x computes: sites with U that differ, times wave vectors.

    Of these q and -q are one. 1 for any other step.
    """
    if setup.step != "response":
        return 1
    mesh = setup.settings.qpoints or (1, 1, 1)
    labels = {label for label, u in zip(setup.species.site_labels, setup.site_hubbard, strict=True) if u}
    return len(labels) * (prod(mesh) // 2 + 1)


_WORKSPACES = 8
"""Sets of wavefunctions that a Davidson diagonalisation holds beside those of each k-point."""
_GRIDS = 30
"""Arrays on the density grid, those of the mixing included."""
_PROJECTORS = 13
"""Of the pseudopotentials, an atom."""
_TABLES = 0.02
"""GB of interpolation tables, whatever the cell."""


def _memory(setup: Setup, bands: int, waves: float, kpoints: int) -> float:
    """Return GB: complex wavefunctions of all k-points, workspace and projectors of one; arrays on the density grid.

    Good to a factor of two beside the lower bound that pw.x prints.

    The grid holds 16 times as many points as a wavefunction has plane waves, each way twice the cutoff's sphere in a
    box: (2 · 2)³ / (4π/3) of them.
    """
    wavefunctions = 16 * bands * waves * (kpoints + _WORKSPACES)
    grid = 8 * waves * 64 / (4 * pi / 3) * _GRIDS * (1 if setup.moments is None else 2)
    projectors = 16 * _PROJECTORS * len(setup.structure) * waves
    return (wavefunctions + projectors + grid) / 1e9 + _TABLES


def calibrate(settings: Settings) -> Calibration:
    """Compare past runs below the folder of runs with what was estimated for them."""
    ratios: dict[tuple[str, str], list[float]] = {}
    paths = sorted(settings.runs.glob("*/*/*/*/*/result.json"), key=lambda path: path.stat().st_mtime)
    for path in paths[-_MOST_PAST_RUNS:]:
        with suppress(HeterodftError, OSError):
            request, spent = read_request(path.parent), _core_hours(path.parent)
            if spent and request.step in _ITERATIONS:
                estimated = estimate_cost(request, settings).core_hours
                ratios.setdefault((request.code, request.step), []).append(spent / estimated)
    return Calibration({key: median(found) for key, found in ratios.items()}, sum(map(len, ratios.values())))


def _core_hours(folder: Path) -> float:
    """Return the core-hours of a finished run of pw.x: its CPU time, which is that of one rank, times the ranks.

    Raises
    ------
    CalculationError
        If its files do not say.
    """
    try:
        seconds = read_json(folder / "result.json")["cpu_seconds"]
        with (folder / "pw.out").open(encoding="utf-8", errors="replace") as stream:
            found = _RANKS.search(stream.read(5000))
    except (OSError, KeyError, ReaderError) as error:
        raise CalculationError(f"{folder}: its times cannot be read: {error}; analyse it again") from error
    return float(seconds or 0.0) * (int(found[1]) if found else 1) / 3600
