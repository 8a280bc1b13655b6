"""Putting calculations into the queue, each once.

Everything is decided first; then folders are moved and written; the queue changes last, in one transaction where the
launchpad can do so. A submission that is refused or killed can be repeated and ends in the same place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from heterodft.workflows.queue.launchpad import exclusive, open_launchpad, queue_errors
from heterodft.workflows.queue.submitter import Submitter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterodft.workflows.calculation import Request
    from heterodft.workflows.settings import Settings

__all__ = ["Submission", "submit"]


@dataclass
class Submission:
    """What became of each calculation, as paths below the folder of all runs.

    Attributes
    ----------
    queued
        New in the queue.
    waiting
        There already, not finished.
    done
        Finished already; the result is on disk.
    failed
        There already, failed earlier.
    shared
        The same calculation as another one, whose folder is linked.
    replaced
        Older calculations in the way, moved aside.
    orphaned
        In the queue or finished, but no longer asked for.
    notes
        What must be known besides, in words.
    """

    queued: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    orphaned: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def submit(chains: Sequence[Sequence[Request]], settings: Settings, *, command: str | None = None) -> Submission:
    """Put chains of requests into the queue, leaving out what is there or finished.

    Parameters
    ----------
    chains
        The steps of each configuration, in the order they run; all of a campaign, or the rest counts as orphaned.
    settings
        Launchpad and folder of the runs.
    command
        How to start pw.x for these, instead of the settings of the worker.

    Raises
    ------
    StorageError
        If a folder cannot be written; nothing is then queued.
    QueueError
        If the queue cannot be used, or a calculation in the way is running.
    """
    launchpad, report = open_launchpad(settings), Submission()
    with queue_errors(settings), exclusive(launchpad):
        submitter = Submitter(launchpad, settings, command, report)
        submitter.decide(chains)
        submitter.enqueue()
        submitter.find_orphans(chains)
    return report
