from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from heterodft.templates.hubbard import StartingOccupations, UChoice, parse_hubbard
from heterodft.workflows.hubbard_spec import Scan

SCAN = TypeAdapter(Scan)


def test_a_number_is_a_list_of_one_and_a_list_is_a_scan():
    assert SCAN.validate_python(4) == [4.0]
    assert SCAN.validate_python([0, 1.5]) == [0.0, 1.5]


def test_layers_win_over_the_rest():
    assert SCAN.validate_python({"KTaO3:2": 3, "KTaO3:1": 2.0, "rest": 1}) == [
        UChoice(1.0, None, (("KTaO3:1", 2.0), ("KTaO3:2", 3.0)))
    ]
    assert SCAN.validate_python({"KTaO3:1": 2.0}) == [UChoice(0.0, None, (("KTaO3:1", 2.0),))]


def test_u_may_have_its_unit():
    assert SCAN.validate_python(["3 eV", {"U": "4 eV", "J": "600 meV"}]) == [3.0, UChoice(4.0, 0.6)]
    with pytest.raises(ValidationError, match=r"'3 Å' is no U .unknown unit 'Å' of energy"):
        SCAN.validate_python("3 Å")


def test_u_and_j_and_occupations():
    start = {"up": [1, 0, 0, None, 0], "down": [0, 0, 0, 0, 0]}
    found = SCAN.validate_python([{"U": 4, "J": 0.6}, {"U": {"A:1": 2}, "occupations": start}])
    assert found[0] == UChoice(4.0, 0.6)
    assert found[1].layers == (("A:1", 2.0),)
    assert found[1].start == StartingOccupations((1.0, 0.0, 0.0, None, 0.0), (0.0,) * 5)
    assert [u.label for u in parse_hubbard({"Ti-3d": found[1]})] == ["Ti-3d-0eV-A.1-2eV-n100x0.00000"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (True, "True is no U"),
        ({"U": 4, "K": 1}, "unknown key 'K' beside U"),
        ({"KTaO3": 1.0}, "'KTaO3' is no layer; write MATERIAL:NUMBER"),
        ({"U": 4, "occupations": {"up": [1]}}, "give {up: "),
        ({"U": 4, "occupations": {"up": 1, "down": 0}}, "give a list of eigenvalues"),
        ("four", "'four' is no U"),
        ([], "at least 1 item"),
    ],
)
def test_what_is_no_u_is_told(value, message):
    with pytest.raises(ValidationError, match=message):
        SCAN.validate_python(value)


def test_the_number_of_eigenvalues_is_that_of_the_shell():
    from heterodft.errors import InputError

    with pytest.raises(InputError, match="give 5 eigenvalues of 0 to 1, lowest first"):
        parse_hubbard({"Ti-3d": UChoice(4.0, start=StartingOccupations((1.0, 0.0), (0.0, 0.0)))})
    with pytest.raises(InputError, match="J = 9 eV; give eV between 0 and 5"):
        parse_hubbard({"Ti-3d": UChoice(4.0, 9.0)})
