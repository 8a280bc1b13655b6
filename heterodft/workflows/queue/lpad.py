"""FireWorks' ``lpad`` on our queue."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest import mock

from fireworks.scripts import lpad_run

from heterodft.errors import QueueError
from heterodft.workflows.queue.launchpad import open_launchpad, queue_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterodft.workflows.settings import Settings

__all__ = ["run_lpad"]

_REFUSED = {
    "init": "the queue is named in the settings (heterodft.yaml), launchpad: host:",
    "webgui": "it is made for a MongoDB server; use heterodft status",
}


def run_lpad(arguments: Sequence[str], settings: Settings) -> None:
    """Run an ``lpad`` command on the queue of the settings.

    Parameters
    ----------
    arguments
        As after ``lpad``.
    settings
        They name the queue.

    Raises
    ------
    QueueError
        If lpad refuses, or the queue cannot be used.
    SystemExit
        If the arguments are wrong, after lpad's own usage, or help was asked for.
    """
    command = next((word for word in arguments if not word.startswith("-")), None)
    if command == "init" or (command == "webgui" and settings.queue_file is not None):
        raise QueueError(f"lpad {command} is not for this queue: {_REFUSED[command]}")
    if any(word in ("-l", "--launchpad_file") for word in arguments):
        raise QueueError(f"lpad -l: {_REFUSED['init']}")
    launchpad = open_launchpad(settings)
    # lpad finds its queue with one function and has no other way to be given one.
    with queue_errors(settings), mock.patch.object(lpad_run, "get_lp", return_value=launchpad):
        try:
            lpad_run.lpad(list(arguments))
        except (ValueError, KeyError, LookupError, OSError, NotImplementedError, SyntaxError) as error:
            raise QueueError(f"lpad {command}: {' '.join(str(error).split()) or type(error).__name__}") from error
