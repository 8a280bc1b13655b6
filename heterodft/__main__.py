"""The program: ``heterodft``, or ``python -m heterodft``."""

from __future__ import annotations

import sys
from _thread import interrupt_main
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

__all__ = ["main"]

_AGAIN_SECONDS = 0.05


def main() -> None:
    """Run the command line; Ctrl-C while it is still being imported ends in one line, too."""
    sys.unraisablehook = _interrupt_again
    try:
        from heterodft.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("heterodft: stopped; nothing is lost, the same command goes on from here\n")
        sys.exit(130)


def _interrupt_again(unraisable: UnraisableHookArgs) -> None:
    """Repeat a Ctrl-C that hit a callback of Python's own, where it would be printed and forgotten."""
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    from threading import Timer

    Timer(_AGAIN_SECONDS, interrupt_main).start()


if __name__ == "__main__":
    main()
