"""What a driver decided last, in ``decision.json`` beside its ``driver.json``: read quickly, for status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heterodft.errors import ReaderError
from heterodft.files import make_folder, read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.workflows.drivers.driver import Decision, Driver

__all__ = ["DECISION_FILE", "DRIVER_FILE", "is_open", "is_to_look", "read_decision", "write_decision"]

DRIVER_FILE, DECISION_FILE = "driver.json", "decision.json"


def write_decision(decision: Decision, driver: Driver, runs: Path) -> None:
    """Note in the folder of a driver what it decided last: for people, and for what may be removed."""
    folder = runs / driver.name
    make_folder(folder)
    write_json(folder / DECISION_FILE, {"id": driver.id, "words": decision.words, "ended": decision.ended})


def read_decision(folder: Path) -> tuple[str, bool] | None:
    """Return what the driver of a folder decided last, in words, and whether it has ended; None for nothing yet."""
    try:
        decided = read_json(folder / DECISION_FILE)
        same = decided["id"] == read_json(folder / DRIVER_FILE)["id"]
        return (str(decided["words"]), bool(decided["ended"])) if same else None
    except (ReaderError, KeyError):
        return None


def is_open(folder: Path) -> bool:
    """Tell whether the folder of a campaign is that of a driver that has not ended."""
    decided = read_decision(folder)
    return (folder / DRIVER_FILE).is_file() and not (decided and decided[1])


def is_to_look(folder: Path, identity: str) -> bool:
    """Tell whether the driver of a folder has not ended and is the one that a look, by its identity, belongs to."""
    try:
        decided = read_json(folder / DECISION_FILE)
        return bool(decided["id"] == identity.partition("-")[0] and not decided["ended"])
    except (ReaderError, KeyError):
        return False
