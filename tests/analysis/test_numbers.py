"""Every number that Fortran prints is read as Python reads it, bit for bit; what is none is told."""

from __future__ import annotations

import math
import re
import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from heterodft.analysis.readers.numbers import BadNumberError, RowFormat, decode_rows, parse_number, split_numbers

finite = st.floats(allow_nan=False, allow_infinity=False)


def fortran_f(value: float, width: int, decimals: int) -> str:
    """F format: no zero before the point where there is no room, stars where the number does not fit."""
    text = f"{value:.{decimals}f}"
    if len(text) > width:
        text = text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text
    return text.rjust(width) if len(text) <= width else "*" * width


def fortran_e(value: float, width: int, decimals: int, letter: str = "E", *, scientific: bool = False) -> str:
    """E, D and (scientific) ES format: exponents of three digits take the place of the letter."""
    digits, exponent = f"{abs(value):.{decimals if scientific else decimals - 1}e}".split("e")
    power = int(exponent)
    if not scientific:
        digits, power = "0." + digits.replace(".", ""), power + (value != 0)
    tail = f"{letter}{power:+03d}" if abs(power) < 100 else f"{power:+04d}"
    text = ("-" if math.copysign(1, value) < 0 else "") + digits + tail
    return text.rjust(width) if len(text) <= width else "*" * width


def as_python(text: str) -> float:
    """What float() makes of it once the letter is an E."""
    text = text.strip().replace("D", "E")
    if text.startswith("*"):
        return math.nan
    if "E" not in text and ("-" in text[1:] or "+" in text[1:]):
        text = f"{text[:-4]}E{text[-4:]}"
    return float(text)


def bits(values) -> list[bytes]:
    return [b"nan" if math.isnan(value) else struct.pack("<d", value) for value in values]


def decode(rows: list[str], like: str | None = None):
    form = RowFormat.of((like or rows[0]).encode())
    assert form is not None
    return decode_rows("".join(rows).encode(), 0, len(rows), form)


def check(rows: list[list[str]], pattern: str) -> None:
    """Rows of fields, the first one a plain pattern that shows the format, after some other text and after none."""
    lines = [f"  <r>{''.join(row)} </r>\n" for row in rows]
    like = f"  <r>{pattern * len(rows[0])} </r>\n"
    form = RowFormat.of(like.encode())
    assert form is not None
    expected = [as_python(field) for row in rows for field in row]
    for before in (b"", b"x" * 40):
        values, unknown = decode_rows(before + "".join(lines).encode(), len(before), len(rows), form)
        assert values.shape == (len(rows), len(rows[0]))
        assert bits(values.ravel().tolist()) == bits(expected)
        assert unknown == sum(map(math.isnan, expected))


numbers = st.one_of(
    st.floats(-2e4, 2e4),
    st.floats(-10, 10),
    st.floats(-1e12, 1e12),
    st.just(-0.0),
    st.integers(-1000, 1000).map(float),
)


@st.composite
def tables(draw, cells):
    columns = draw(st.integers(1, 11))
    return draw(st.lists(st.lists(cells, min_size=columns, max_size=columns), min_size=1, max_size=12))


@settings(max_examples=300, deadline=None)
@given(tables(numbers), st.integers(1, 17), st.integers(3, 18))
@example([[99999999.99999999, 90071992.54740993, 0.0]], 8, 12)
@example([[-0.00001, -0.5, 0.5]], 4, 3)
def test_numbers_in_f_format_are_those_of_python(rows, decimals, more):
    width = decimals + more
    fields = [[fortran_f(value, width, decimals) for value in row] for row in rows]
    check(fields, fortran_f(0.0, width, decimals))


@settings(max_examples=300, deadline=None)
@given(
    tables(st.one_of(numbers, finite)),
    st.integers(1, 17),
    st.integers(7, 12),
    st.sampled_from("ED"),
    st.booleans(),
)
def test_numbers_in_e_d_and_es_format_are_those_of_python(rows, decimals, more, letter, scientific):
    width = decimals + more
    fields = [[fortran_e(value, width, decimals, letter, scientific=scientific) for value in row] for row in rows]
    check(fields, fortran_e(1.0, width, decimals, letter, scientific=scientific))


@pytest.mark.parametrize("width", [9, 11])
def test_many_rows_of_the_widths_of_vasp_are_decoded_in_chunks(width):
    values = np.random.default_rng(1).normal(0, 200, (5000, 10)).round(4)
    lines = "".join("        <r>" + f"%{width}.4f" * 10 % tuple(row) + " </r>\n" for row in values.tolist())
    form = RowFormat.of(lines[: lines.index("\n") + 1].encode())
    found, unknown = decode_rows(lines.encode(), 0, 5000, form)
    assert unknown == 0
    assert np.array_equal(found.view(np.uint64), np.array(values).view(np.uint64))
    few, _ = decode_rows(lines.encode(), 0, 5000, form, first=7)
    assert np.array_equal(few, found[:, 7:])


@settings(deadline=None)
@given(finite)
def test_single_numbers_are_those_of_python(value):
    for text in (repr(value), f"{value:.12e}", f"{value:.8e}".replace("e", "D")):
        assert bits([parse_number(text.encode())]) == bits([float(text.replace("D", "e"))])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-.5", -0.5), (".5", 0.5), ("+1.", 1.0), ("1.0D+02", 100.0), ("0.123-102", 0.123e-102), ("1.5+100", 1.5e100),
        ("3", 3.0), ("-0.0", -0.0), ("Infinity", math.inf), ("-Inf", -math.inf), ("1d0", 1.0), (" 7.5 \n", 7.5),
    ],
)  # fmt: skip
def test_what_fortran_prints_is_read(text, value):
    assert bits([parse_number(text.encode())]) == bits([value])


@pytest.mark.parametrize("text", ["****", "NaN", "nan"])
def test_stars_and_nan_are_not_a_number(text):
    assert math.isnan(parse_number(text.encode()))


@pytest.mark.parametrize(
    "text", ["", "-", ".", "1.2.3", "1.0E", "1 2", "0x10", "1_000", "1.23 4", "E+02", "1.0-12", "٣"]
)
def test_what_is_no_number_is_refused(text):
    with pytest.raises(BadNumberError, match="no number"):
        parse_number(text.encode())


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("-12.345-67.890", [-12.345, -67.89]),
        ("  1.0 -2.5D+01\t3 \n", [1.0, -25.0, 3.0]),
        ("0.123-102-4.5", [0.123e-102, -4.5]),
        ("0.123-102.5", [0.123, -102.5]),
        ("1.0E-05-2.0E-05", [1e-5, -2e-5]),
        ("", []),
    ],
)
def test_numbers_that_run_together_are_split(text, values):
    assert split_numbers(text.encode()) == values


@pytest.mark.parametrize("text", ["1234.56781234.5678", "1.0 a", "1.0, 2.0", "--1", "1.0 -", "1.0-", "x"])
def test_lines_that_cannot_be_split_with_certainty_are_refused(text):
    with pytest.raises(BadNumberError, match="no number"):
        split_numbers(text.encode())


def test_stars_in_a_block_are_counted():
    values, unknown = decode([" 1.00*****\n", " -.50 0.25\n"], like=" 1.00 2.00\n")
    assert unknown == 1
    np.testing.assert_array_equal(values, [[1.0, np.nan], [-0.5, 0.25]])


def test_numbers_that_fill_their_fields_are_told_apart():
    values, _ = decode(["-99.1234-88.4321\n", " 12.3456 -7.6543\n"])
    assert values.tolist() == [[-99.1234, -88.4321], [12.3456, -7.6543]]


@pytest.mark.parametrize("column", range(26))
@pytest.mark.parametrize("byte", "xE+-:/*\0\xff .5")
def test_a_byte_that_makes_no_number_is_noticed_wherever_it_is(column, byte):
    row = b"<r>  -0.1234   1.5678</r>\n"
    damaged = bytearray(row * 3)
    damaged[len(row) + column] = ord(byte)
    fields = [damaged[len(row) + start :][:9].decode("latin-1") for start in (3, 12)]
    legal = [re.fullmatch(r" *[+-]?\d*\.\d{4}", field) for field in fields]
    form = RowFormat.of(row)
    if bytes(damaged) == row * 3 or (3 <= column < 21 and all(legal)):
        values, _ = decode_rows(bytes(damaged), 0, 3, form)
        assert values[1].tolist() == [float(field) for field in fields]
    else:
        with pytest.raises(BadNumberError, match="row 2: no number"):
            decode_rows(bytes(damaged), 0, 3, form)


def test_rows_of_other_formats_have_no_form():
    for row in ("", "abc\n", " 1 2 3\n", " 1.00 2.000\n", " 1.00 x 2.00\n", " 1.00 2.00E+01\n"):
        assert RowFormat.of(row.encode()) is None
