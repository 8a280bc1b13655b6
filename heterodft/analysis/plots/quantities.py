"""What the figures need of a quantity: numbers ready to show, whichever code they are from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = [
    "AgainstU",
    "BandLines",
    "ConvergenceTable",
    "DensitySlice",
    "DosStack",
    "EnergyTable",
    "Group",
    "HeightProfile",
    "LayerProfile",
    "OccupationLevels",
    "OccupiedShell",
    "ShellMoments",
    "SlabProfile",
    "SliceAtom",
]


class Group(Protocol):
    """A plane or a layer, see `heterodft.analysis.layers.SiteGroup`."""

    @property
    def label(self) -> str:
        """``SrTiO3:1`` of a layer, ``SrTiO3:1 TiO2`` of a plane; ``LaAlO3[1]:12`` of one of several blocks."""

    @property
    def bottom(self) -> float:
        """Å."""

    @property
    def top(self) -> float:
        """Å."""


class DosStack(Protocol):
    """Density of states by group: ``groups`` from the bottom up, ``columns`` the shells or orbitals."""

    @property
    def groups(self) -> Sequence[Any]:
        """Planes or layers from the bottom up."""

    @property
    def columns(self) -> Sequence[str]:
        """Names along the second axis of `values`."""

    @property
    def energies(self) -> NDArray[Any]:
        """EV from the reference, shape (energy,)."""

    @property
    def values(self) -> NDArray[Any]:
        """States per eV, shape (group, column, spin, energy)."""

    @property
    def reference_name(self) -> str:
        """What zero is: ``Fermi level``."""


class LayerProfile(Protocol):
    """Numbers along the layers, several series of them."""

    @property
    def groups(self) -> Sequence[Any]:
        """Planes or layers from the bottom up."""

    @property
    def columns(self) -> Sequence[str]:
        """Names of the series: ``sphere``, ``Löwdin``."""

    @property
    def values(self) -> NDArray[Any]:
        """Shape (group, column); not-a-number where there is none."""

    @property
    def quantity(self) -> str:
        """``moment``."""

    @property
    def unit(self) -> str:
        """``μB``; empty when there is none."""


class BandLines(Protocol):
    """Bands along a path of k-points, with what part of each state is where."""

    @property
    def distances(self) -> NDArray[Any]:
        """1/Å along the path, shape (k,)."""

    @property
    def energies(self) -> NDArray[Any]:
        """EV from the reference, shape (spin, k, band)."""

    @property
    def weights(self) -> NDArray[Any] | None:
        """0…1, shape (spin, k, band, group); None where there are no projections."""

    @property
    def groups(self) -> Sequence[Any]:
        """Planes or layers along the last axis of `weights`."""

    @property
    def labels(self) -> Mapping[float, str]:
        """Names of the special points by their distance."""

    @property
    def breaks(self) -> Sequence[int]:
        """Indices of the k-points with which a new stretch begins, not joined to the one before."""

    @property
    def reference_name(self) -> str:
        """What zero is."""


class HeightProfile(Protocol):
    """A quantity averaged over the planes parallel to the interfaces; its ``groups`` or ``layers`` are shaded."""

    @property
    def heights(self) -> NDArray[Any]:
        """Å along the normal, shape (height,)."""

    @property
    def planar(self) -> NDArray[Any]:
        """Shape (height,)."""

    @property
    def macroscopic(self) -> NDArray[Any] | None:
        """Averaged over a period of the material too, shape (height,)."""

    @property
    def quantity(self) -> str:
        """``potential``."""

    @property
    def unit(self) -> str:
        """``eV``."""


class EnergyTable(Protocol):
    """Energies of configurations against one of them."""

    @property
    def names(self) -> Sequence[str]:
        """Of the configurations."""

    @property
    def values(self) -> Sequence[float | None]:
        """In `unit`; None where it may not be subtracted."""

    @property
    def reasons(self) -> Sequence[str]:
        """Why there is no value; empty where there is one."""

    @property
    def reference(self) -> str:
        """The configuration whose energy is zero."""

    @property
    def unit(self) -> str:
        """``meV per formula unit``."""


class AgainstU(Protocol):
    """Moment and gap of the same configurations at several U; one entry a calculation."""

    @property
    def u(self) -> Sequence[float]:
        """EV."""

    @property
    def moments(self) -> Sequence[float | None]:
        """μB."""

    @property
    def gaps(self) -> Sequence[float | None]:
        """eV; 0 of a metal, None where unknown."""

    @property
    def metals(self) -> Sequence[bool | None]:
        """Whether it is a metal; None where unknown."""

    @property
    def labels(self) -> Sequence[str]:
        """The line each entry is on: ``FM``, ``AFM-G``."""


class SliceAtom(Protocol):
    """An atom in a slice."""

    @property
    def element(self) -> str:
        """Symbol."""

    @property
    def x(self) -> float:
        """Å across."""

    @property
    def y(self) -> float:
        """Å up."""


class DensitySlice(Protocol):
    """A density on a plane through the cell."""

    @property
    def x(self) -> NDArray[Any]:
        """Å across, evenly spaced, shape (nx,)."""

    @property
    def y(self) -> NDArray[Any]:
        """Å up, evenly spaced, shape (ny,)."""

    @property
    def values(self) -> NDArray[Any]:
        """Shape (ny, nx)."""

    @property
    def atoms(self) -> Sequence[SliceAtom]:
        """The atoms in the plane."""

    @property
    def quantity(self) -> str:
        """``spin density``."""

    @property
    def unit(self) -> str:
        """``μB/Å³``."""


class ShellMoments(Protocol):
    """What growing spheres around a place hold, as ``inside`` (of a density) or ``cumulative`` (of sites)."""

    @property
    def radii(self) -> NDArray[Any]:
        """Å, shape (radius,)."""

    @property
    def quantity(self) -> str:
        """``spin density`` or ``moment``."""

    @property
    def unit(self) -> str:
        """``μB``."""


class SlabProfile(Protocol):
    """A density integrated from the bottom to the top of each layer or plane."""

    @property
    def labels(self) -> Sequence[str]:
        """Of the layers or planes from the bottom up."""

    @property
    def values(self) -> NDArray[Any]:
        """Shape (group,), or (group, 3) of a magnetization."""

    @property
    def quantity(self) -> str:
        """``spin density``."""

    @property
    def unit(self) -> str:
        """``μB``."""


class OccupiedShell(Protocol):
    """The shell of one site and the occupations of its eigenorbitals."""

    @property
    def site(self) -> int:
        """Index, from 0."""

    @property
    def element(self) -> str:
        """Symbol."""

    @property
    def group(self) -> str:
        """Label of its layer or plane, or nothing."""

    @property
    def shell(self) -> str:
        """``3d``."""

    @property
    def spins(self) -> Sequence[str]:
        """Names of the rows of `eigenvalues`: up and down, or one that is empty."""

    @property
    def eigenvalues(self) -> NDArray[Any]:
        """0…1, shape (spin, m)."""


class OccupationLevels(Protocol):
    """Occupations of the sites with a Hubbard U."""

    @property
    def shells(self) -> Sequence[OccupiedShell]:
        """One a site."""


class ConvergenceTable(Protocol):
    """Quantities at several values of one number, from coarse to fine."""

    @property
    def axis(self) -> str:
        """``cutoff``."""

    @property
    def unit(self) -> str:
        """Of `values`."""

    @property
    def values(self) -> tuple[float, ...]:
        """One a point."""

    @property
    def labels(self) -> Sequence[str]:
        """``60 Ry``, one a point."""

    @property
    def series(self) -> Sequence[Any]:
        """With ``name``, ``tolerance`` and ``changes``, shape (point, point), not-a-number where there is none."""

    @property
    def recommended(self) -> float | None:
        """One of `values`, or None."""
