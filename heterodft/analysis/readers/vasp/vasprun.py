"""vasprun.xml of VASP 5.2 to 6.6: whole, compressed, cut off or damaged.

The file is mapped and its blocks are found by searching for their tags; numbers are decoded when they are asked for.
What cannot be read is None and told in `Vasprun.notes`; a `ReaderError` is raised where nothing of use is left.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from heterodft.analysis.readers.vasp.vasprun_blocks import (
    OptionalBlocks,
    RawDos,
    read_dos,
    read_eigenvalues,
    read_projections,
)
from heterodft.analysis.readers.vasp.vasprun_header import read_atoms, read_kpoints, read_mesh, read_path
from heterodft.analysis.readers.vasp.vasprun_steps import IonicStep, Structure, read_structure
from heterodft.analysis.readers.vasp.vasprun_text import CutOffError, DamageError, Text, children, read_settings
from heterodft.analysis.result import SHELLS
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from heterodft.analysis.readers.vasp.vasprun_header import Atoms
    from heterodft.analysis.readers.vasp.vasprun_text import Element

__all__ = ["ORBITAL_OF", "IonicStep", "OptionalBlocks", "RawDos", "Structure", "Vasprun"]

ORBITAL_OF = {
    "s": "s", "py": "py", "pz": "pz", "px": "px",
    "dxy": "dxy", "dyz": "dyz", "dz2": "dz2", "dxz": "dxz",
    **dict.fromkeys(("dx2", "x2-y2", "dx2-y2", "dx2y2"), "dx2-y2"),
    **dict.fromkeys(("fy3x2", "f-3", "fy(3x2-y2)"), "fy(3x2-y2)"),
    **{name: name for name in ("fxyz", "fyz2", "fz3", "fxz2")},
    "f-2": "fxyz", "f-1": "fyz2", "f0": "fz3", "f1": "fxz2",
    **dict.fromkeys(("fzx2", "f2", "fz(x2-y2)"), "fz(x2-y2)"),
    **dict.fromkeys(("fx3", "f3", "fx(x2-3y2)"), "fx(x2-3y2)"),
    **{shell: shell for shell in SHELLS},
}  # fmt: skip
"""Names of columns in VASP's files → `heterodft.analysis.result.ORBITALS`, or `SHELLS` of LORBIT = 10."""

_T = TypeVar("_T")


class Vasprun:
    """One vasprun.xml; energies in eV, lengths in Å, as VASP printed them.

    Attributes
    ----------
    path
        Of the file.
    complete
        Whether the end that VASP writes when it finishes is there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._text = Text(path)
        self.complete = self._text.complete
        self._notes: dict[str, None] = {}
        if not self.complete:
            self._tell("the file is cut off: VASP did not finish, or it was not copied whole")

    @classmethod
    def open(cls, path: Path) -> Vasprun:
        """Open a file, plain or compressed (.gz, .xz, .bz2).

        Raises
        ------
        ReaderError
            If it is missing, empty, or no vasprun.xml.
        """
        return cls(path)

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the things asked for so far is missing, damaged or doubtful, in words for the user."""
        return tuple(self._notes)

    def _tell(self, what: str) -> None:
        self._notes.setdefault(f"{self.path.name}: {what}")

    def _error(self, error: DamageError) -> ReaderError:
        kind = "is cut off" if isinstance(error, CutOffError) else "is damaged"
        return ReaderError(f"{self.path} {kind} {self._text.at(error.position)}: {error.what}; copy or run it again")

    @cached_property
    def _elements(self) -> list[Element]:
        """The elements directly within ``<modeling>``."""
        text = self._text
        try:
            return list(children(text, text.start, text.end, open_end=not text.complete))
        except CutOffError:
            return []
        except DamageError as error:
            raise self._error(error) from error

    def _find(self, tag: str, name: str = "") -> Element | None:
        return next((e for e in self._elements if e.tag == tag and name in ("", e.name)), None)

    def _need(self, tag: str, name: str = "") -> Element:
        element = self._find(tag, name)
        if element is None or not element.complete:
            what = f"<{tag}{f' {name}' if name else ''}>"
            raise ReaderError(f"{self.path} is cut off before the end of {what}; nothing of the run can be told")
        return element

    def _try(self, what: str, read: Callable[[], _T]) -> _T | None:
        """Return what ``read`` does; None, and a note, where the file is cut off or damaged."""
        try:
            return read()
        except CutOffError as error:
            self._tell(f"{what} cut off ({self._text.at(error.position)})")
        except DamageError as error:
            self._tell(f"{what} damaged {self._text.at(error.position)}: {error.what}")
        return None

    @cached_property
    def version(self) -> str:
        """Version of VASP, such as ``6.4.1``."""
        return str(self._settings("generator").get("VERSION", "")) if self._find("generator") else ""

    @cached_property
    def incar(self) -> dict[str, Any]:
        """What the INCAR set, by names in capitals: bool, int, float, str or lists of them."""
        return self._settings("incar") if self._find("incar") is not None else {}

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """All settings with their defaults, by names in capitals; of one that comes twice (NELM) the first one."""
        return self._settings("parameters")

    def _settings(self, tag: str) -> dict[str, Any]:
        element = self._need(tag)
        try:
            settings, doubts = read_settings(self._text, element)
        except DamageError as error:
            raise self._error(error) from error
        for doubt in doubts:
            self._tell(doubt)
        return settings

    @cached_property
    def _atoms(self) -> Atoms:
        try:
            return read_atoms(self._text, self._need("atominfo"))
        except DamageError as error:
            raise self._error(error) from error

    @property
    def elements(self) -> tuple[str, ...]:
        """Symbol of each site."""
        return self._atoms.elements

    @property
    def pseudopotentials(self) -> tuple[str, ...]:
        """Titles of the POTCARs, one a species."""
        return self._atoms.pseudopotentials

    @property
    def valences(self) -> tuple[float, ...]:
        """Valence electrons of each of the `pseudopotentials`; empty, and a note, where they cannot be read."""
        if not all(map(math.isfinite, self._atoms.valences)):
            self._tell("the valence electrons of the species are damaged")
            return ()
        return self._atoms.valences

    @property
    def species(self) -> tuple[int, ...]:
        """Which of the `pseudopotentials` each site has."""
        return self._atoms.species

    @cached_property
    def _kpoints(self) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
        element = self._find("kpoints")
        read = element and self._try("the k-points are", lambda: read_kpoints(self._text, element))
        return read or (None, None)

    @property
    def kpoints(self) -> NDArray[np.float64] | None:
        """Fractional, shape (k, 3)."""
        return self._kpoints[0]

    @property
    def weights(self) -> NDArray[np.float64] | None:
        """As printed, shape (k,)."""
        return self._kpoints[1]

    @cached_property
    def mesh(self) -> tuple[int, int, int] | None:
        """Divisions of a regular mesh; None for a list or a path."""
        element = self._find("kpoints")
        if element is None:
            return None
        return self._try("the mesh of k-points is", lambda: read_mesh(self._text, element))

    @cached_property
    def path_ends(self) -> NDArray[np.float64] | None:
        """Ends of the lines of a path, fractional, shape (points, 3); their labels are in KPOINTS only."""
        element = self._find("kpoints")
        if element is None:
            return None
        return self._try("the path of k-points is", lambda: read_path(self._text, element))

    @property
    def path_labels(self) -> None:
        """VASP writes no labels into this file."""
        return None

    def initial_structure(self) -> Structure:
        """Return what the run began with: lattice vectors as rows in Å, shape (3, 3), and fractional coordinates.

        Raises
        ------
        ReaderError
            If the file is cut off before it or damaged there.
        """
        return self._structure(self._need("structure", "initialpos"))

    def final_structure(self) -> Structure:
        """Return the last structure there is; a note tells when it is not that of the end of the run.

        Raises
        ------
        ReaderError
            If there is none.
        """
        element = self._find("structure", "finalpos")
        if element is not None and element.complete:
            return self._structure(element)
        for step in reversed(self.ionic_steps):
            if (structure := step.structure()) is not None:
                self._tell(f"no final structure; that of ionic step {step.number} is taken")
                return structure
        self._tell("no final structure; the initial one is taken")
        return self.initial_structure()

    def _structure(self, element: Element) -> Structure:
        try:
            return read_structure(self._text, element, len(self.elements))
        except DamageError as error:
            raise self._error(error) from error

    @cached_property
    def ionic_steps(self) -> tuple[IonicStep, ...]:
        """All ionic steps in order; each decodes its numbers when asked."""
        found = [element for element in self._elements if element.tag == "calculation"]
        return tuple(self._step(number, element) for number, element in enumerate(found, start=1))

    @property
    def force_field_steps(self) -> int:
        """Number of steps made by a machine-learned force field alone, which stand outside the ionic steps."""
        return sum(element.tag == "energy" for element in self._elements)

    def _step(self, number: int, element: Element) -> IonicStep:
        parts: list[Element] = []
        walk = children(self._text, element.start, element.end, open_end=not element.complete, long="projected")
        complete = element.complete
        try:
            for part in walk:
                parts.append(part)
        except CutOffError:
            complete = False
        except DamageError as error:
            self._tell(f"ionic step {number} damaged {self._text.at(error.position)}: {error.what}")
            complete = False
        return IonicStep(number, complete, self._text, tuple(parts), len(self.elements), self._try)

    def _last(self, tag: str, what: str, comment: str = "") -> Element | None:
        """Return the last block of a kind, of the main calculation or (with a comment) of KPOINTS_OPT."""
        for step in reversed(self.ionic_steps):
            for element in reversed(step.parts):
                if element.tag != tag or element.attributes.get("comment", "") != comment:
                    continue
                if step.number < len(self.ionic_steps):
                    self._tell(f"{what} those of ionic step {step.number} of {len(self.ionic_steps)}")
                return element
        return None

    @cached_property
    def fermi_level(self) -> float | None:
        """In eV, of the main calculation; None where there is none."""
        element = self._last("dos", "Fermi level and density of states are")
        dos = element and self._try("the Fermi level is", lambda: read_dos(self._text, element, 0, totals=False))
        return dos.fermi_level if dos else None

    def eigenvalues(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Return energies in eV and occupations 0…1, each of shape (spin, k, band), in the order of the file."""
        element = self._last("eigenvalues", "the eigenvalues are")
        if element is None:
            return None
        read = self._try("the eigenvalues are", lambda: read_eigenvalues(self._text, element))
        if read is None or not self._fits(
            read.energies.shape, len(self.kpoints) if self.kpoints is not None else None
        ):
            return None
        energies, occupations = read.energies, read.occupations
        self._tell_unknown("eigenvalues", read.unknown)
        self._check_occupations(occupations)
        return energies, occupations

    def _fits(self, shape: tuple[int, ...], kpoints: int | None) -> bool:
        """Whether there are as many spins and bands as the settings say, and eigenvalues of every k-point."""
        spins = 1 if self.parameters.get("LNONCOLLINEAR") else self.parameters.get("ISPIN", 1)
        expected = (spins, kpoints, self.parameters.get("NBANDS"))
        names = ("spins (ISPIN)", "k-points", "bands (NBANDS)")
        for name, found, wanted in zip(names, shape, expected, strict=True):
            if wanted is not None and found != wanted:
                self._tell(f"eigenvalues of {found} {name} where {wanted} are expected")
        return kpoints is None or shape[1] == kpoints

    def _check_occupations(self, occupations: NDArray[np.float64]) -> None:
        electrons, weights = self.parameters.get("NELECT"), self.weights
        if electrons is None or weights is None or not weights.sum() > 0 or occupations.shape[2] == 0:
            return
        both = 2 if occupations.shape[0] == 1 and not self.parameters.get("LNONCOLLINEAR") else 1
        total = both * float(np.einsum("skb,k->", occupations, weights / weights.sum()))
        if abs(total - electrons) > 0.01 + 1e-4 * occupations.shape[0] * occupations.shape[2]:
            self._tell(f"the occupations add up to {total:.3f} electrons; NELECT is {electrons:.3f}")

    def _tell_unknown(self, what: str, unknown: int) -> None:
        if unknown:
            self._tell(f"{unknown} of the {what} do not fit into VASP's columns (***) and are not-a-number")

    def dos(self, *, partial: bool = True) -> RawDos | None:
        """Return the density of states of the main calculation.

        Parameters
        ----------
        partial
            Whether to decode that of the sites, too.
        """
        element = self._last("dos", "Fermi level and density of states are")
        return None if element is None else self._dos(element, "the density of states is", partial=partial)

    def _dos(self, element: Element, what: str, *, partial: bool) -> RawDos | None:
        sites = len(self.elements) if partial else 0
        dos = self._try(what, lambda: read_dos(self._text, element, sites))
        if dos is None:
            return None
        for trouble in dos.troubles:
            self._tell(trouble)
        self._tell_unknown("densities of states", dos.unknown)
        rows = self.parameters.get("NEDOS")
        if rows is not None and len(dos.energies) != rows:
            self._tell(f"the density of states has {len(dos.energies)} energies, NEDOS is {rows}")
        return dos

    def projections(self) -> tuple[NDArray[np.float64], tuple[str, ...]] | None:
        """Return the parts of the states on the orbitals, shape (spin, k, band, site, column), and the columns.

        Of a noncollinear run the spin axis is the sum and the x, y and z components of the magnetization.
        """
        element = self._last("projected", "the projections are")
        return None if element is None else self._projections(element, "the projections of the bands are")

    def _projections(self, element: Element, what: str) -> tuple[NDArray[np.float64], tuple[str, ...]] | None:
        read = self._try(what, lambda: read_projections(self._text, element, len(self.elements)))
        if read is None:
            return None
        values, columns, unknown = read
        self._tell_unknown("projections", unknown)
        return values, columns

    def optional(self, *, projections: bool = False) -> OptionalBlocks | None:
        """Return what was computed at the k-points of KPOINTS_OPT; None where there is none."""
        bands = self._last("eigenvalues_kpoints_opt", "the blocks of KPOINTS_OPT are", "kpoints_opt")
        dos = self._last("dos", "the blocks of KPOINTS_OPT are", "kpoints_opt")
        if bands is None and dos is None:
            return None
        what = "in the blocks of KPOINTS_OPT"
        points = read = None
        if bands is not None:
            parts = self._try(f"{what} something is", lambda: self._parts(bands)) or {}
            if "kpoints" in parts:
                points = self._try(f"{what} the k-points are", lambda: read_kpoints(self._text, parts["kpoints"]))
            if "eigenvalues" in parts:
                read = self._try(
                    f"{what} the eigenvalues are", lambda: read_eigenvalues(self._text, parts["eigenvalues"])
                )
        projected = self._last("projected_kpoints_opt", "the blocks of KPOINTS_OPT are") if projections else None
        kpoints, weights = points or (None, None)
        return OptionalBlocks(
            kpoints,
            weights,
            None if read is None else read.energies,
            None if dos is None else self._dos(dos, f"{what} the density of states is", partial=True),
            None if projected is None else self._projections(projected, f"{what} the projections are"),
        )

    def _parts(self, element: Element) -> dict[str, Element]:
        found = children(self._text, element.start, element.end, open_end=not element.complete)
        return {part.tag: part for part in found}
