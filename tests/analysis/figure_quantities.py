"""Small quantities with the attributes that figures ask for, of cells with few and with many layers."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np

from heterodft.analysis.layers import find_layering
from heterodft.structures import Block, build_material, build_superlattice

GRID = np.linspace(-10, 10, 201)
PATH = np.linspace(0.0, 3.0, 31)
LABELS = {0.0: "GAMMA", 0.8: "X", 1.2: "M|R", 2.0: "\\Gamma", 3.0: "S_0"}


@cache
def cell(layers=2, blocks=1):
    stack = [Block(build_material(name), layers // 2 // blocks) for name in ("SrTiO3", "LaAlO3")] * blocks
    return build_superlattice(stack, normal=(0, 0, 1), in_plane="SrTiO3")


def groups(layers=2, by="layers"):
    return getattr(find_layering(cell(layers, 2 if layers > 8 else 1)), by)


def dos(layers=2, by="layers", spins=2, columns=("s", "p", "d", "f")):
    found = groups(layers, by)
    values = np.zeros((len(found), len(columns), spins, len(GRID)))
    values[:, 1], values[:, 2] = np.exp(-((GRID + 3) ** 2)), 0.5 * np.exp(-((GRID - 1) ** 2))
    return SimpleNamespace(
        groups=found, columns=columns, energies=GRID, values=values, reference_name="middle of the gap"
    )


def profile(layers=2, by="layers", columns=("sphere", "Löwdin")):
    found = groups(layers, by)
    values = np.arange(len(found) * len(columns), dtype=float).reshape(len(found), -1) - 3.0
    return SimpleNamespace(groups=found, columns=columns, values=values, quantity="moment", unit="μB")


def bands(layers=2, spins=2, weighted=True):
    found = groups(layers)
    energies = np.array(
        [[[-2 + b + 0.3 * np.cos(2 * k) + 0.2 * s for b in range(5)] for k in PATH] for s in range(spins)]
    )
    weights = np.zeros((*energies.shape, len(found)))
    for band in range(5):
        weights[:, :, band, band % len(found)] = 0.8
    return SimpleNamespace(
        distances=PATH, energies=energies, weights=weights if weighted else None, groups=found if weighted else (),
        labels=LABELS, breaks=(12,), reference_name="Fermi level",
    )  # fmt: skip


def average(layers=2, macroscopic=True):
    layering = find_layering(cell(layers, 2 if layers > 8 else 1))
    heights = np.linspace(0, layering.period, 100, endpoint=False)
    return SimpleNamespace(
        heights=heights, planar=5 * np.sin(3 * heights), macroscopic=heights / 10 if macroscopic else None,
        groups=layering.layers, quantity="potential", unit="eV",
    )  # fmt: skip


def energies():
    return SimpleNamespace(
        names=("AFM-G", "FM", "V_O at LaAlO3[1]:12 AlO2, antiparallel", "{x}_v67"),
        values=(0.0, -12.55, None, 103.0),
        reasons=("", "", "other cutoffs: 60 and 80 Ry, and other pseudopotentials of Ti", ""),
        reference="AFM-G",
        unit="meV per formula unit",
    )


def against_u():
    return SimpleNamespace(
        u=[4, 0, 2, 0, 2], moments=[0.8, 0.0, 0.1, 0.1, None], gaps=[0.5, 0.0, 0.0, 0.0, None],
        metals=[False, True, True, True, None], labels=["FM"] * 3 + ["AFM-G"] * 2,
    )  # fmt: skip


def density(quantity="spin density"):
    up, across = np.mgrid[0:16:40j, 0:4:10j]
    values = np.exp(-((across - 2) ** 2) - (up - 4) ** 2)
    if quantity == "spin density":
        values -= 0.6 * np.exp(-((across - 2) ** 2) - (up - 12) ** 2)
    atoms = [SimpleNamespace(element=e, x=x, y=y) for e, x, y in (("Ti", 2.0, 4.0), ("O", 0.0, 4.0))]
    return SimpleNamespace(
        x=across[0], y=up[:, 0], values=values, atoms=atoms, quantity=quantity, unit="μB/Å³"
    )  # fmt: skip


def shells():
    radii = np.linspace(0.2, 4.0, 20)
    return SimpleNamespace(radii=radii, cumulative=1.8 * (1 - np.exp(-(radii**2))), quantity="moment", unit="μB")
