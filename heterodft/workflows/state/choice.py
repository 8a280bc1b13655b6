"""What the user wants done where the state reached is not the one asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from heterodft.workflows.calculation import Request

__all__ = ["CHOICES", "DEFAULT_RESEEDS", "Choice", "Unreached", "unreached_of"]

Choice = Literal["flag", "reseed", "accept", "stop"]
CHOICES: tuple[Choice, ...] = ("flag", "reseed", "accept", "stop")
DEFAULT_RESEEDS = 2


@dataclass(frozen=True)
class Unreached:
    """The choice of a request; it is in its ``about``, since it changes nothing of what is asked for.

    Attributes
    ----------
    choice
        ``flag``: go on, marked wherever it is shown; ``reseed``: try other starts first; ``accept``: take it as a
        state of its own, by its own name; ``stop``: fail, so that nothing starts from it.
    reseeds
        How many other starts are tried.
    """

    choice: Choice = "flag"
    reseeds: int = 0

    def to_data(self) -> dict[str, Any]:
        """Return plain JSON data; nothing where nothing is chosen."""
        if self.choice == "flag":
            return {}
        return {"choice": self.choice} | ({"reseeds": self.reseeds} if self.reseeds else {})

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Unreached:
        """Rebuild from `to_data`."""
        return cls(data.get("choice", "flag"), int(data.get("reseeds", 0)))


def unreached_of(request: Request) -> Unreached:
    """Return what was chosen for a request."""
    return Unreached.from_data(request.about.get("unreached") or {})
