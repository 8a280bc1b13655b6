"""A finished campaign on disk, as workflows leave one, made by hand."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.result import ORBITALS, Bands, ProjectedDos, Result, SiteValues
from heterodft.files import make_folder, read_json, write_json
from heterodft.structures import Block, build_material, build_superlattice
from heterodft.units import RYDBERG

if TYPE_CHECKING:
    from pathlib import Path

PRISTINE = build_superlattice(
    [Block(build_material("SrTiO3"), 1), Block(build_material("LaAlO3"), 1)], in_plane="SrTiO3"
)
GRID = np.linspace(-10, 10, 401)
SETTINGS = {
    "xc": "PBE", "cutoff": 40 * RYDBERG, "density_cutoff": 160 * RYDBERG, "kpoints": [2, 2, 1], "shift": [1, 1, 0],
    "smearing": "cold", "smearing_width": 0.1, "raw": {},
}  # fmt: skip


@dataclass
class Campaign:
    """A finished campaign on disk, as workflows leave one; folders NAME/ORDER/U/STEP."""

    root: Path
    settings: dict = field(default_factory=lambda: dict(SETTINGS))

    def request(self, name, step, *, label="pristine", order="FM", protocol="fast", hubbard="Ti-3d-4eV", **about):
        folder = make_folder(self.root / name / order / hubbard / step)
        write_json(
            folder / "request.json",
            {
                "id": f"{name}-{order}-{hubbard}-{step}",
                "about": {
                    "campaign": self.root.name, "name": name, "label": label, "order": order,
                    "hubbard": hubbard, "protocol": protocol, "origin": {"cutoff": "campaign"},
                    **about,
                },
                "request": {"step": step, "settings": self.settings, "pseudopotentials": {}, "hubbard": []},
            },
        )  # fmt: skip
        return folder

    def finish(self, name, step, *, structure=PRISTINE, verdict="kept", changes=None, state=None, **about):
        folder = self.request(name, step, **about)
        request = read_json(folder / "request.json") | {"state": {"verdict": verdict} | (state or {})}
        replace(result(structure, step), request=request, **(changes or {})).save(folder)
        return folder


def result(structure, step):
    sites = len(structure)
    bands = np.array([[[-1.0, 2.0], [-1.5, 2.5]]] * 2)
    values = np.zeros((sites, len(ORBITALS), 2, len(GRID)))
    values[:, 0, 0], values[:, 1, 1] = 0.5, 0.25  # states per eV at every energy
    moments = tuple(1.0 * (site.species_string == "Ti") for site in structure)
    return Result(
        "espresso", "6.7", step, structure, 2.0, -100.0 if step == "static" else None, (0.0,),
        1.0 if step == "static" else None, 1.25 if step == "static" else None,
        {"sphere": SiteValues("sphere", (1.0,) * sites, moments)} if step == "static"
        else {"Löwdin": SiteValues("Löwdin", (6.0,) * sites, moments)},
        True if step == "static" else None, 12, 1e-8, 1.0, 2.0,
        Bands(bands, (bands < 0) * 1.0, np.array([[0, 0, 0], [0.5, 0, 0]]), np.array([0.5, 0.5])),
        ProjectedDos(GRID, values, values.sum(axis=(0, 1))) if step == "dos" else None,
        0.006 if step == "dos" else None,
    )  # fmt: skip


def table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))
