"""What the figure of a scan of U needs: its points and the energies of the orders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["OrderEnergyPoint", "PointOfU", "ScanOfU", "ScanPoint"]


class PointOfU(Protocol):
    """What one calculation at some U says; see `heterodft.analysis.against_u.HubbardPoint`."""

    @property
    def order(self) -> str:
        """The order asked for."""

    @property
    def moment(self) -> float | None:
        """μB."""

    @property
    def gap(self) -> float | None:
        """eV; 0 of a metal."""


class ScanPoint(Protocol):
    """One point of one branch of a scan of U; see `heterodft.analysis.hubbard_rows.ScanRow`."""

    @property
    def structure(self) -> str:
        """Its name."""

    @property
    def branch(self) -> str:
        """``cold``, ``cold-0.5``, ``up``, ``down``."""

    @property
    def u(self) -> float:
        """EV."""

    @property
    def other_u(self) -> str:
        """Other U, in words."""

    @property
    def state(self) -> str:
        """The state reached."""

    @property
    def lowest(self) -> bool:
        """Whether none lies lower at this U."""

    @property
    def shared(self) -> bool:
        """Whether another branch has the same calculation."""

    @property
    def volume(self) -> float:
        """Å³ per formula unit."""

    @property
    def lattice(self) -> tuple[float, float, float]:
        """Å: a, b, c of the cell."""

    @property
    def relative(self) -> float | None:
        """Energy from the lowest at this U, meV per formula unit."""

    @property
    def sort_energy(self) -> tuple[bool, bool, float]:
        """Rises with the energy at one U."""

    @property
    def point(self) -> PointOfU:
        """Moment and gap."""


class OrderEnergyPoint(Protocol):
    """Energy of an order from another at one U."""

    @property
    def structure(self) -> str:
        """Its name."""

    @property
    def u(self) -> float:
        """EV."""

    @property
    def other_u(self) -> str:
        """Other U, in words."""

    @property
    def order(self) -> str:
        """``AFM-A``."""

    @property
    def reference(self) -> str:
        """``FM``."""

    @property
    def value(self) -> float | None:
        """MeV per formula unit."""


class ScanOfU(Protocol):
    """A scan of U along several branches."""

    @property
    def rows(self) -> Sequence[ScanPoint]:
        """One a point and branch."""

    @property
    def order_energies(self) -> Sequence[OrderEnergyPoint]:
        """Of the orders reached."""

    @property
    def axis(self) -> str:
        """``U of Cr``."""
