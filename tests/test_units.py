from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import constants

from heterodft.units import BOHR, HARTREE, RYDBERG, parse_quantity


def test_the_constants_are_those_of_codata():
    assert pytest.approx(constants.value("Hartree energy in eV"), rel=1e-10) == HARTREE
    assert pytest.approx(constants.value("Rydberg constant times hc in eV"), rel=1e-10) == RYDBERG
    assert pytest.approx(constants.value("Bohr radius") * 1e10, rel=1e-9) == BOHR


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("60 Ry", "energy", 816.3415873796),
        ("1 Ha", "energy", 27.211386245988),
        ("520 eV", "energy", 520.0),
        ("1meV", "energy", 1e-3),
        ("1e-8 Ry", "energy", 1.3605693122994e-7),
        ("1.0 nm", "length", 10.0),
        ("390.5 pm", "length", 3.905),
        ("7.38 bohr", "length", 3.90532781646),
        (" 3.905 Å ", "length", 3.905),
        ("4 h", "time", 4.0),
        ("90 min", "time", 1.5),
        ("1800 s", "time", 0.5),
        ("2 d", "time", 48.0),
        ("2.5 1/nm", "inverse length", 0.25),
        ("0.25 1/Å", "inverse length", 0.25),
        ("1 1/bohr", "inverse length", 1.8897261246),
        ("-.5", "energy", -0.5),
    ],
)
def test_a_unit_is_converted(text, dimension, value):
    assert parse_quantity(text, dimension) == pytest.approx(value, rel=1e-9)


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["energy", "length", "time", "inverse length"]),
)
def test_a_number_without_unit_is_kept(value, dimension):
    assert parse_quantity(value, dimension) == value
    assert parse_quantity(str(value), dimension) == value


@pytest.mark.parametrize("value", ["", "Ry", "sixty Ry", None, [60], True, "nan", "--1"])
def test_what_is_no_quantity_is_refused(value):
    with pytest.raises(ValueError, match="expected a number with an optional unit"):
        parse_quantity(value, "energy")


@pytest.mark.parametrize("value", ["60,5 Ry", "1 2", "60 Ry Ry", "60 ry"])
def test_a_decimal_comma_a_second_number_and_a_small_letter_are_no_units(value):
    with pytest.raises(ValueError, match=r"unknown unit '.*' of energy"):
        parse_quantity(value, "energy")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1e999 eV", 10**400])
def test_what_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match=r"expected a finite number|expected a number with an optional unit"):
        parse_quantity(value, "energy")


def test_a_mistyped_unit_is_told_with_a_near_match():
    with pytest.raises(ValueError, match=r"unknown unit 'bohrs' of length; did you mean 'bohr'?"):
        parse_quantity("7 bohrs", "length")


def test_a_unit_of_another_dimension_is_refused():
    with pytest.raises(ValueError, match="unknown unit 'nm' of energy; known: Ha, Ry, eV, meV"):
        parse_quantity("1 nm", "energy")
