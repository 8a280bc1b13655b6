"""What every handler of pw.x shares: it looks at how the run ended, and its corrections are data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from custodian.custodian import ErrorHandler

from heterodft.templates.espresso_edit import read_value
from heterodft.workflows.custodians.corrections import apply_actions
from heterodft.workflows.custodians.symptoms import Ending, read_ending
from heterodft.workflows.custodians.watch import attempts_in

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Action", "EspressoHandler", "number"]

Action = dict[str, Any]
"""Keys ``_set``, ``_unset``, ``_continue`` of `heterodft.workflows.custodians.corrections`."""


class EspressoHandler(ErrorHandler):
    """Corrects runs of pw.x that ended with one of its symptoms.

    The next rung of its ladder is read from the input and from ``custodian.json``, so that it is found again after
    a worker was killed. A run is corrected once: of several handlers the first in the list.

    Parameters
    ----------
    file
        Input of the program.
    """

    symptoms: tuple[str, ...] = ()
    is_monitor = False
    raise_on_max = False
    max_num_corrections = 5

    def __init__(self, file: str = "pw.in"):
        self.file = file

    def check(self, directory: str = "./") -> bool:
        """Return whether the run ended with a symptom of this handler and was not corrected yet."""
        folder = Path(directory)
        if self.corrected(folder):
            return False
        ending = read_ending(folder, self.file)
        return ending is not None and self.concerns(ending, folder)

    def concerns(self, ending: Ending, folder: Path) -> bool:
        """Return whether this handler is the one for it."""
        return ending.symptom in self.symptoms

    def corrected(self, folder: Path) -> bool:
        """Return whether the input was changed after the output was written: by the handler before this one."""
        try:
            written = (folder / f"{self.file.removesuffix('.in')}.out").stat().st_mtime_ns
            return (folder / self.file).stat().st_mtime_ns > written
        except OSError:
            return False

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Correct the input; ``actions`` is None where nothing is left to try."""
        folder = Path(directory)
        ending = read_ending(folder, self.file)
        words = self.words(ending) if ending is not None else "no output"
        action = self.rung(ending, folder) if ending is not None else None
        if action is None:
            return {"errors": [words], "actions": None}
        actions = [{"dict": self.file, "action": action}]
        return {"errors": [words], "actions": actions, "before": apply_actions(folder, actions)}

    def words(self, ending: Ending) -> str:
        """Return what was wrong."""
        return ending.words

    def rung(self, ending: Ending, folder: Path) -> Action | None:
        """Return what to change next, None where nothing is left to try."""
        raise NotImplementedError

    def tried(self, folder: Path) -> list[Mapping[str, Any]]:
        """Return the actions that handlers of this kind have taken in a folder, oldest first."""
        name = type(self).__name__
        return [
            one["action"]
            for attempt in attempts_in(folder)
            for entry in attempt.get("corrections", ())
            if entry.get("handler", {}).get("@class") == name and entry.get("handler", {}).get("file") == self.file
            for one in entry.get("actions") or ()
        ]


def number(ending: Ending, name: str, default: float) -> float:
    """Return a number of the input."""
    written = read_value(ending.asked, name)
    return default if written is None else float(written.lower().replace("d", "e"))
