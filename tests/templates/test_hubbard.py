from __future__ import annotations

import pytest

from heterodft.errors import InputError
from heterodft.templates.hubbard import HubbardU, check_hubbard, parse_hubbard


def test_u_is_read_by_element_and_shell_in_alphabetical_order():
    assert parse_hubbard({"Ti-3d": 4, "La-4f": 8.1}) == (HubbardU("La", "4f", 8.1), HubbardU("Ti", "3d", 4.0))


def test_a_zero_is_kept_because_it_names_a_configuration():
    assert [u.label for u in parse_hubbard({"Ti-3d": 0.0})] == ["Ti-3d-0eV"]


def test_a_label_is_written_without_needless_digits():
    assert [HubbardU("Ti", "3d", value).label for value in (4.0, 4.25)] == ["Ti-3d-4eV", "Ti-3d-4.25eV"]


@pytest.mark.parametrize("key", ["Ti", "Ti3d", "ti-3d", "Ti-3s", "Ti-2d", "Ti-d", "Ti-3d ", "O-2s"])
def test_what_is_no_shell_is_refused(key):
    with pytest.raises(InputError, match=f"hubbard: '{key}'; write an element and a shell, such as Ti-3d"):
        parse_hubbard({key: 4.0})


@pytest.mark.parametrize("value", [-10.1, 20.5, 400.0, float("nan"), float("inf")])
def test_an_absurd_u_is_refused(value):
    with pytest.raises(InputError, match=r"hubbard: Ti-3d = .* eV is no effective U; give eV between -10 and 20"):
        parse_hubbard({"Ti-3d": value})


@pytest.mark.parametrize(("element", "shell"), [("Sr", "4d"), ("La", "5d"), ("La", "4f"), ("Al", "3p"), ("Ti", "3p")])
def test_shells_that_6_7_does_not_know_need_the_hubbard_card_of_7_1(element, shell):
    u = HubbardU(element, shell, 4.0)
    for version in ((6, 7), (7, 0)):
        with pytest.raises(InputError, match=rf"pw.x {version[0]}\.{version[1]} cannot put U on {element}-{shell}"):
            check_hubbard([u], [element], version)
    for version in ((7, 1), (7, 2), (8, 0)):
        check_hubbard([u], [element], version)


@pytest.mark.parametrize(("element", "shell"), [("Ti", "3d"), ("Ta", "5d"), ("Cr", "3d"), ("Fe", "3d"), ("O", "2p")])
def test_the_shells_of_the_papers_are_taken_by_every_version(element, shell):
    for version in ((6, 7), (7, 2)):
        check_hubbard([HubbardU(element, shell, 4.0)], [element], version)


def test_u_of_zero_asks_nothing_of_the_version():
    check_hubbard([HubbardU("Sr", "4d", 0.0)], ["Sr"], (6, 7))


def test_u_on_an_absent_element_is_refused():
    with pytest.raises(InputError, match="hubbard: Ti-3d on a structure without Ti; remove it"):
        check_hubbard([HubbardU("Ti", "3d", 4.0)], ["La", "Al", "O"], (7, 2))
