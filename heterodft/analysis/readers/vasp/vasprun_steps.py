"""The ionic steps of vasprun.xml: energies, forces, stress and structure of each."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from heterodft.analysis.readers.numbers import BadNumberError, parse_number
from heterodft.analysis.readers.vasp.vasprun_sets import read_rows
from heterodft.analysis.readers.vasp.vasprun_text import CutOffError, DamageError, children

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from heterodft.analysis.readers.vasp.vasprun_text import Element, Text

__all__ = ["IonicStep", "Structure", "read_structure"]

_ENTRY = re.compile(rb"\s*<i name=\"([\w ]+)\">([^<>]*)</i>")


class Structure(NamedTuple):
    """Lattice vectors as rows in Å, shape (3, 3), and fractional coordinates, shape (site, 3)."""

    lattice: NDArray[np.float64]
    fractional: NDArray[np.float64]


@dataclass(frozen=True)
class IonicStep:
    """One ionic step; its numbers are decoded when asked for.

    Attributes
    ----------
    number
        From 1.
    complete
        Whether it is there as a whole.
    parts
        Its elements in the file.
    """

    number: int
    complete: bool
    _text: Text = field(repr=False)
    parts: tuple[Element, ...] = field(repr=False)
    _sites: int = field(repr=False)
    _try: Callable[[str, Callable[[], Any]], Any] = field(repr=False)

    @cached_property
    def _cycle(self) -> list[dict[str, float]]:
        steps = [part for part in self.parts if part.tag == "scstep" and part.complete]
        what = f"in ionic step {self.number} an energy is"
        found = [self._try(what, lambda part=part: _scf_energies(self._text, part)) for part in steps]  # type: ignore[misc]
        return [{} if energies is None else energies for energies in found]

    def _series(self, name: str) -> NDArray[np.float64]:
        return np.array([energies.get(name, np.nan) for energies in self._cycle], dtype=np.float64)

    @property
    def free_energies(self) -> NDArray[np.float64]:
        """Free energy in eV of each SCF step."""
        return self._series("e_fr_energy")

    @property
    def energies_without_entropy(self) -> NDArray[np.float64]:
        """Energy without the entropy of the smearing in eV of each SCF step."""
        return self._series("e_wo_entrp")

    @property
    def energies_zero(self) -> NDArray[np.float64]:
        """Energy for smearing → 0 in eV of each SCF step."""
        return self._series("e_0_energy")

    @cached_property
    def block_energy(self) -> dict[str, float]:
        """Energies in eV printed at the end of the step; in old versions ``e_0_energy`` is not what it says."""
        part = self._part("energy")
        what = f"the energy of ionic step {self.number} is"
        return {} if part is None else self._try(what, lambda: _entries(self._text, part)) or {}

    @cached_property
    def forces(self) -> NDArray[np.float64] | None:
        """eV/Å, shape (site, 3)."""
        return self._varray("forces", self._sites)

    @cached_property
    def stress(self) -> NDArray[np.float64] | None:
        """In kbar with VASP's sign, shape (3, 3)."""
        return self._varray("stress", 3)

    def structure(self) -> Structure | None:
        """Return the structure of this step; None where the file is cut off or damaged before its end."""
        part = self._part("structure")
        if part is None:
            return None
        found = self._try(
            f"the structure of ionic step {self.number} is", lambda: read_structure(self._text, part, self._sites)
        )
        return found if isinstance(found, Structure) else None

    def _part(self, tag: str, name: str = "") -> Element | None:
        found = [p for p in self.parts if p.tag == tag and name in ("", p.name) and p.complete]
        return found[-1] if found else None

    def _varray(self, name: str, rows: int) -> NDArray[np.float64] | None:
        part = self._part("varray", name)
        if part is None:
            return None
        what = f"the {name} of ionic step {self.number} {'is' if name == 'stress' else 'are'}"
        found = self._try(what, lambda: _vectors(self._text, part, rows))
        return None if found is None else np.asarray(found)


def _scf_energies(text: Text, step: Element) -> dict[str, float]:
    for part in children(text, step.start, step.end, open_end=False):
        if part.tag == "energy":
            return _entries(text, part)
        if part.tag == "scstep":
            break
    raise DamageError("an SCF step without its energy", step.start)


def _entries(text: Text, element: Element) -> dict[str, float]:
    values, position = {}, element.start
    while (match := _ENTRY.match(text.bytes, position, element.end)) is not None:
        try:
            values[match[1].decode("ascii")] = parse_number(match[2])
        except BadNumberError as error:
            raise DamageError(f"{match[2].strip()!r} where an energy is expected", position) from error
        position = match.end()
    if text.bytes[position : element.end].strip():
        raise DamageError("something else than energies", position)
    return values


def _vectors(text: Text, element: Element, rows: int) -> NDArray[np.float64]:
    values, unknown = read_rows(text, element.start, element.end, 3)
    if len(values) != rows:
        raise DamageError(f"{len(values)} rows where {rows} are expected", element.start)
    if unknown:
        raise DamageError("numbers that do not fit into VASP's columns (***)", element.start)
    return values


def read_structure(text: Text, element: Element, sites: int) -> Structure:
    """Read a ``<structure>``.

    Raises
    ------
    DamageError
        If lattice or positions are missing, or of another number of sites.
    """
    parts = {
        part.name or part.tag: part
        for part in children(text, element.start, element.end, open_end=not element.complete)
    }
    crystal, positions = parts.get("crystal"), parts.get("positions")
    if crystal is None or positions is None or not positions.complete:
        raise (DamageError if element.complete else CutOffError)("a structure without its positions", element.start)
    basis = {part.name: part for part in children(text, crystal.start, crystal.end, open_end=False)}.get("basis")
    if basis is None:
        raise DamageError("a structure without its lattice", element.start)
    return Structure(_vectors(text, basis, 3), _vectors(text, positions, sites))
