"""Blocks of numbers equal what float() makes of each word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_grids import fortran_e

from heterodft.analysis.readers.grid_numbers import read_numbers
from heterodft.errors import ReaderError

FILE = Path("CHGCAR")
NUMBERS = st.floats(-1e15, 1e15, allow_nan=False)
LAYOUTS = st.sampled_from([(18, 11, 5), (13, 5, 6), (16, 8, 6), (14, 6, 6)])


def rows(words: list[str], columns: int) -> str:
    return "\n".join("".join(words[i : i + columns]) for i in range(0, len(words), columns)) + "\n"


@given(st.lists(NUMBERS | st.just(0.0) | st.floats(-1e-15, 1e-15), min_size=1, max_size=40), LAYOUTS)
def test_rows_of_equal_fields_are_read_to_the_last_digit(numbers: list[float], layout: tuple[int, int, int]) -> None:
    width, digits, columns = layout
    words = [" " + fortran_e(value if abs(value) > 1e-90 else 0.0, width - 1, digits) for value in numbers]
    data = rows(words, columns).encode()
    values, end = read_numbers(data, 0, len(words), FILE)
    assert values.tolist() == [float(word) for word in words]
    assert end == len(data)


@given(st.lists(NUMBERS, min_size=1, max_size=40), st.sampled_from(["{:.17g} ", " {:.9E}", "{:12.5f} ", " {:.3e}"]))
def test_free_form_is_read_to_the_last_digit(numbers: list[float], form: str) -> None:
    words = [form.format(value) for value in numbers]
    values, _ = read_numbers(rows(words, 7).encode(), 0, len(words), FILE)
    assert values.tolist() == [float(word) for word in words]


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 5))
def test_records_that_begin_new_rows_are_read(records: int, record: int, seed: int) -> None:
    numbers = np.random.default_rng(seed).normal(size=(records, record))
    words = [[fortran_e(float(v), 13, 5) for v in row] for row in numbers]
    data = "".join(rows(row, 6) for row in words).encode()
    values, end = read_numbers(data, 0, records * record, FILE, record=record)
    assert values.tolist() == [float(word) for row in words for word in row]
    assert end == len(data)


def test_fortran_leaves_out_the_zero_and_the_e() -> None:
    values, _ = read_numbers(b" -.5 +.25 0.10000-100 1.0D+00 -0.2-101\n", 0, 5, FILE)
    assert values.tolist() == [-0.5, 0.25, 0.1e-100, 1.0, -0.2e-101]
    field = b" 0.10000E+01 0.20000-100\n"
    assert read_numbers(field, 0, 2, FILE)[0].tolist() == [1.0, 0.2e-100]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (" 0.10000E+01*************\n", "1 of 2 .*too large|run together|no number"),
        (" 0.10000E+01 ************\n", r"number 2 of 2 .*\*\*.*too large for its field"),
        (" 0.10000E+01 0.2.3\n", "number 2 of 2 .*run together"),
        (" 0.10000E+01-0.2\n", "run together"),
        (" 0.10000E+01 NaN\n", "number 2 of 2 .*'NaN'"),
        (" 0.10000E+01\n", "1 of 2 numbers"),
        (" 0.10000E+01 0.2", "no line end"),
        (" 0.1 0.2 0.3\n", "more than the 2 numbers"),
        ("", "0 of 2 numbers"),
        (" 1.0 1e999\n", "infinite"),
    ],
)
def test_what_is_no_number_is_refused_with_its_place(text: str, told: str) -> None:
    with pytest.raises(ReaderError, match=told):
        read_numbers(text.encode(), 0, 2, FILE)


@given(st.integers(0, 539), st.integers(0, 255))
def test_a_changed_byte_never_changes_how_many_numbers_there_are(place: int, byte: int) -> None:
    good = rows([" " + fortran_e(0.1 * i + 0.01, 17, 11) for i in range(30)], 5).encode()
    data = good[:place] + bytes([byte]) + good[place + 1 :]
    try:
        values, end = read_numbers(data, 0, 30, FILE)
    except ReaderError:
        return
    assert len(values) == 30
    assert end == len(data)
    assert (values != read_numbers(good, 0, 30, FILE)[0]).sum() <= 1
