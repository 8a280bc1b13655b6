"""The version of pw.x, which decides the syntax of U and the meaning of starting moments."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from functools import cache

from heterodft.errors import ProgramNotFoundError

__all__ = ["program_version"]

_LONGEST = 60
"""Seconds."""


@cache
def program_version(path: str) -> tuple[int, int]:
    """Ask pw.x for its version.

    Parameters
    ----------
    path
        The program, on PATH or with its folder.

    Raises
    ------
    ProgramNotFoundError
        If it is not there, does not say, or does not answer in time.
    """
    found = shutil.which(path)
    if found is None:
        raise ProgramNotFoundError(
            f"{path} is not installed or not on PATH; install Quantum ESPRESSO "
            "(Debian: apt-get install quantum-espresso) or set ESPRESSO_BIN_DIR"
        )
    # pw.x has no --version: it prints its banner, then fails on the empty input, leaving a file behind.
    try:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [found],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_LONGEST,
                check=False,
            )
    except subprocess.TimeoutExpired as error:
        raise ProgramNotFoundError(
            f"{found} did not answer within {_LONGEST} s when asked for its version; the machine may be overloaded; "
            "try again"
        ) from error
    except OSError as error:
        raise ProgramNotFoundError(f"{found} does not start: {error}; reinstall Quantum ESPRESSO") from error
    match = re.search(r"Program PWSCF v\.(\d+)\.(\d+)", done.stdout)
    if match is None:
        raise ProgramNotFoundError(f"{found} does not print a version of pw.x; check the path of the program")
    return int(match[1]), int(match[2])
