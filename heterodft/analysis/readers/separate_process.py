"""A call in a process of its own, for libraries that a damaged file can crash, hang or fill the memory with."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ChildDiedError", "call_apart"]

_T = TypeVar("_T")
_CHILD = """
import pickle, sys
sys.path[:], memory, call = pickle.load(sys.stdin.buffer)
from heterodft.analysis.readers.separate_process import _answer
_answer(memory, call)
"""


class ChildDiedError(Exception):
    """The process ended without an answer; the message says how."""


def call_apart(function: Callable[..., _T], *arguments: Any, memory: int, seconds: float) -> _T:
    """Return what a function of a module returns, or raise its `ReaderError`; some 0.3 s slower than the call itself.

    Parameters
    ----------
    memory
        Bytes that the process may use at most.
    seconds
        How long it may take.

    Raises
    ------
    ChildDiedError
        If the process crashed, took too long, could not be started, or the function raised something else than a
        `ReaderError`.
    """
    # One thread of BLAS: each would count in full as memory used.
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    call = pickle.dumps((sys.path, memory, pickle.dumps((function, arguments))))
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", _CHILD],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
        )  # fmt: skip
    except OSError as error:
        raise ChildDiedError(f"no process can be started ({error.strerror or error})") from error
    late = threading.Event()

    def stop() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(seconds, stop)
    timer.start()
    with process:
        try:
            answer = _exchange(process, call)
        finally:
            timer.cancel()
            process.kill()
    if answer is None:
        raise ChildDiedError(f"it took more than {seconds:.0f} s" if late.is_set() else _how(process.returncode))
    if isinstance(answer[1], BaseException):
        raise answer[1]
    result: _T = answer[0]
    return result


def _exchange(process: subprocess.Popen[bytes], call: bytes) -> tuple[Any, BaseException | None] | None:
    """Return the answer of the process, as it comes; None where it ended before."""
    stdin, stdout = process.stdin, process.stdout
    if stdin is None or stdout is None:
        return None
    try:
        with stdin:
            stdin.write(call)
        answer: tuple[Any, BaseException | None] = pickle.load(stdout)  # noqa: S301, our own process
    except (EOFError, BrokenPipeError, pickle.UnpicklingError):
        process.wait()
        return None
    return answer


def _how(code: int) -> str:
    return f"the library that reads it crashed (signal {-code})" if code < 0 else "the library that reads it gave up"


def _answer(memory: int, call: bytes) -> None:
    """Do what the child does: call the function within the memory given, and answer."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    _limit(memory)
    try:
        function, arguments = pickle.loads(call)  # noqa: S301, of the process that started this one
        found: tuple[Any, BaseException | None] = (function(*arguments), None)
    except ReaderError as error:
        found = (None, error)
    except Exception as error:  # noqa: BLE001, told in one line by who called
        found = (None, ChildDiedError(f"{type(error).__name__} {' '.join(str(error).split())[:150]}".strip()))
    with out:
        pickle.dump(found, out, protocol=5)
    os._exit(0)  # libraries that stumbled over a damaged file may crash when they are closed


def _limit(memory: int) -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    wanted = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
