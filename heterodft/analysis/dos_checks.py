"""Whether a density of states holds the electrons of the cell and the charges of its sites."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.dos_arrays import charge_channels
from heterodft.analysis.integrals import states_below
from heterodft.analysis.result import ORBITALS, SHELLS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from heterodft.analysis.counted_states import CountedStates
    from heterodft.analysis.pdos import LayerDos
    from heterodft.analysis.result import Result, SiteValues

__all__ = ["TOO_COARSE", "check_dos"]

TOO_COARSE = "too coarse, so that electrons by layer are as uncertain"
"""What a note says of a grid or mesh that does not show all electrons of the states near the Fermi level."""

_REMEDY = "a denser k-mesh or more points (VASP: NEDOS; projwfc.x: DeltaE; in a campaign dos_energy_step)"
_SCALE_TOLERANCE = 0.1
"""Part by which a set of bands near the Fermi level may be scaled before it is said."""
_SUM_TOLERANCE = 0.01
"""Part of the electrons that an integral may miss before it is said."""
_CHARGE_TOLERANCE = 0.05
"""Electrons by which a site's integral may differ from its printed charge before it is said."""
_ORBITAL_TOLERANCE = 0.02
"""Electrons of both spins by which the integral of an orbital may differ from its charge before it is said."""
_SHELL = 0.01
"""Electrons of a shell that are said."""


def check_dos(layer_dos: LayerDos, result: Result, counted: CountedStates) -> tuple[str, ...]:
    """Compare integrals up to the Fermi level with the electrons and the charges of the sites."""
    dos, notes = counted.dos, []
    lost = int((~np.isfinite(dos.values)).sum())
    if lost:
        notes.append(
            f"{lost} numbers of the density of states could not be printed by the code; sums over them are none"
        )
        return tuple(notes)
    if len(set(result.fermi_levels)) > 1 and layer_dos.reference_name == "Fermi level":
        notes.append("the spins have Fermi levels of their own; zero is the higher one")
    levels = np.resize(layer_dos.levels, dos.total.shape[0]) + layer_dos.reference

    def filled(values: NDArray[np.float64]) -> NDArray[np.float64]:
        parts = [states_below(dos.energies, values[..., s, :], levels[s], layer_dos.rule) for s in _spins(values)]
        return np.asarray(sum(parts))

    whole = float(filled(charge_channels(dos.total)))
    orbitals = filled(charge_channels(dos.values))
    shells = np.stack([orbitals[:, [n[0] == name for n in dos.orbitals]].sum(axis=1) for name in SHELLS], axis=1)
    sites = shells.sum(axis=1)
    step = float(np.diff(dos.energies).mean())
    notes += _of_counts(counted, layer_dos)
    expected = None if result.electrons is None else result.electrons - counted.missing
    if expected is not None and abs(whole - expected) > _SUM_TOLERANCE * expected:
        notes.append(
            f"the total density of states holds {whole:.2f} of {expected:g} electrons up to the "
            f"{layer_dos.reference_name}: its grid ({step:.3g} eV from {dos.energies[0]:.1f} eV on) "
            f"{_reason(result, dos.energies[0] - step)}"
        )
    if whole > 0:
        part = float(sites.sum()) / whole
        where = "between the spheres" if result.code == "vasp" else "outside the atomic wavefunctions"
        notes.append(f"the layers hold {100 * part:.1f} % of the electrons; the rest is {where}")
    notes += _against_orbitals(layer_dos, result, orbitals)
    return (*notes, *(_against_charges(layer_dos, result, shells) if not counted.missing else ()))


def _of_counts(counted: CountedStates, layer_dos: LayerDos) -> list[str]:
    """Say what was left out and what was scaled so that each set of bands holds its states."""
    notes = []
    if counted.highest is not None:
        notes.append(
            f"{counted.missing:.3g} electrons of bands narrower than a step of the energy grid, or below it, are "
            f"left out, {layer_dos.reference - counted.highest:.0f} eV and more below the {layer_dos.reference_name}"
        )
    if counted.factor > 1 + _SCALE_TOLERANCE:
        notes.append(
            f"the density of states was scaled by up to {counted.factor:.2f} to hold as many states as there are "
            f"bands: the k-mesh or the energy grid is {TOO_COARSE}; use {_REMEDY}"
        )
    return notes


def _reason(result: Result, begin: float) -> str:
    """Return why a grid misses electrons, as far as the bands tell, and what to do; it begins after `begin`."""
    bands = None if result.bands is None or not result.bands.energies.size else result.bands.energies
    if bands is None:
        return "is too coarse or begins too high; use more points (VASP: NEDOS, EMIN; projwfc.x: DeltaE, Emin)"
    if bands.min() < begin:
        return "begins too high; states below it are left out (VASP: EMIN; projwfc.x: Emin)"
    return f"is {TOO_COARSE}; use {_REMEDY}"


def _spins(values: NDArray[np.float64]) -> range:
    return range(values.shape[-2])


def _against_charges(layer_dos: LayerDos, result: Result, shells: NDArray[np.float64]) -> list[str]:
    """Say where integrals by site and shell are not the charges that the code printed for the same projection."""
    known = result.sites.get("sphere" if result.code == "vasp" else "Löwdin")
    if known is None or len(known.charges) != len(shells):
        return []
    held = shells.sum(axis=1)
    apart = np.abs(held - np.array(known.charges))
    worst = int(apart.argmax())
    if apart[worst] < _CHARGE_TOLERANCE:
        return []
    return [
        f"integrated to the Fermi level, {_named(layer_dos, result, worst)} holds "
        f"{held[worst]:.3f} electrons, but its {known.kind} charge is {known.charges[worst]:.3f}"
        f"{_by_shell(known, shells, worst)}: the energy grid is too coarse or does not hold all states"
    ]


def _named(layer_dos: LayerDos, result: Result, site: int) -> str:
    """Return a site with its layer: ``Ti3 of SrTiO3:1``."""
    label = next((f" of {group.label}" for group in layer_dos.groups if site in group.sites), "")
    return f"{result.structure[site].species_string}{site + 1}{label}"


def _against_orbitals(layer_dos: LayerDos, result: Result, orbitals: NDArray[np.float64]) -> list[str]:
    """Say by how much the integral of a d or f orbital misses its charge; both spins, the worst one.

    Those of s and p also hold narrow bands far below, which are hit by chance.
    """
    known = result.sites.get("Löwdin")
    if known is None or known.orbital_charges is None:
        return []
    charges = known.orbital_charges.sum(axis=1)
    if charges.shape != orbitals.shape:
        return []
    apart = np.abs(orbitals - charges) * [name[0] in "df" for name in ORBITALS]
    site, orbital = np.unravel_index(apart.argmax(), apart.shape)
    if apart[site, orbital] < _ORBITAL_TOLERANCE:
        return []
    return [
        f"the k-mesh of the density of states is {TOO_COARSE}: {ORBITALS[orbital]} of "
        f"{_named(layer_dos, result, int(site))} holds {orbitals[site, orbital]:.3f} "
        f"electrons in it, {charges[site, orbital]:.3f} by its charge"
    ]


def _by_shell(known: SiteValues, shells: NDArray[np.float64], site: int) -> str:
    """Return what each shell of a site holds too much or too little, where the code tells them: ``s −0.02``."""
    if known.shell_charges is None:
        return ""
    apart = shells[site] - known.shell_charges[site]
    said = [f"{name} {value:+.2f}" for name, value in zip(SHELLS, apart, strict=True) if abs(value) >= _SHELL]
    return f" ({', '.join(said)})" if said else ""
