"""A call in another process returns or raises what the function does; where it dies, that is told."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from heterodft.analysis.readers.opening import read_bytes
from heterodft.analysis.readers.separate_process import ChildDiedError, call_apart
from heterodft.errors import ReaderError

LIMITS = {"memory": 2 << 30, "seconds": 60.0}


def test_it_returns_what_the_function_does():
    np.testing.assert_array_equal(call_apart(np.arange, 300_000, **LIMITS), np.arange(300_000))
    assert call_apart(os.getpid, **LIMITS) != os.getpid()


def test_an_error_of_the_reader_arrives(tmp_path):
    with pytest.raises(ReaderError, match=r"cannot read .*missing"):
        call_apart(read_bytes, tmp_path / "missing", **LIMITS)


def test_what_a_library_prints_is_no_answer():
    assert call_apart(print, "noise", **LIMITS) is None


@pytest.mark.parametrize(
    ("function", "arguments", "told"),
    [
        (os.abort, (), r"crashed \(signal 6\)"),
        (os._exit, (3,), "gave up"),
        (bytearray, (1 << 40,), "MemoryError"),
        (int, ("x",), "ValueError invalid literal"),
    ],
)
def test_a_process_that_dies_is_told(function, arguments, told):
    with pytest.raises(ChildDiedError, match=told):
        call_apart(function, *arguments, **LIMITS)


def test_one_that_hangs_is_ended():
    started = time.monotonic()
    with pytest.raises(ChildDiedError, match="more than 1 s"):
        call_apart(time.sleep, 60, memory=2 << 30, seconds=1.0)
    assert time.monotonic() - started < 30
