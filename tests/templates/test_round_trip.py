"""Any moments and any U by layer, written for either code and read back site by site."""

from __future__ import annotations

import json
import math
import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Incar, Poscar

from heterodft.errors import InputError
from heterodft.structures import Block, build_material, build_superlattice, layer_labels
from heterodft.templates.espresso import write_espresso
from heterodft.templates.hubbard import HubbardU
from heterodft.templates.potcars import Potcar
from heterodft.templates.protocols import resolve_settings
from heterodft.templates.pseudopotentials import Pseudopotential
from heterodft.templates.setup import Setup
from heterodft.templates.species import MAXIMUM_KINDS, build_species_table
from heterodft.templates.vasp import write_vasp

VALENCES = {"Sr": 10.0, "La": 11.0, "Ti": 12.0, "Al": 3.0, "O": 6.0, "K": 9.0, "Ta": 13.0}
PSEUDOS = {e: Pseudopotential(e, Path(f"/pseudos/{e}.upf"), "0" * 64, v, 4) for e, v in VALENCES.items()}
POTCARS = {e: Potcar(e, e, None, None, v, None) for e, v in VALENCES.items()}
VERSIONS = [(6, 7), (7, 0), (7, 1), (7, 2), (7, 3), (7, 5)]
SHELLS = {"Ti": "3d", "Ta": "5d", "O": "2p"}
"""That every version takes."""
ACCURACY = 1e-5
"""μB: six digits of a fraction of at most thirteen electrons."""


def stacks():
    for names in (["SrTiO3"], ["SrTiO3", "LaAlO3"], ["KTaO3", "LaAlO3"], ["KTaO3", "SrTiO3"]):
        for layers in product((1, 2), repeat=len(names)):
            blocks = [Block(build_material(name), n) for name, n in zip(names, layers, strict=True)]
            yield build_superlattice(blocks, in_plane=names[0])


STACKS = list(stacks())
fractions = st.one_of(st.just(0.0), st.floats(-0.95, 0.95), st.sampled_from([0.02, -0.02, 0.1, -0.1, 0.25, 0.5]))
values_of_u = st.floats(-10, 20).map(lambda value: round(value, 2))


@st.composite
def requests(draw, most=3):
    """A stack, a moment for each site out of few for each element, and U by layer."""
    structure = draw(st.sampled_from(STACKS))
    elements = [site.species_string for site in structure]
    choices = {e: draw(st.lists(fractions, min_size=1, max_size=most), label=e) for e in sorted(set(elements))}
    moments = [round(draw(st.sampled_from(choices[e])) * VALENCES[e], 3) + 0.0 for e in elements]
    return structure, moments, draw(hubbards(structure))


@st.composite
def hubbards(draw, structure):
    labels = layer_labels(structure)
    found = []
    for element in sorted({site.species_string for site in structure} & set(SHELLS)):
        if draw(st.booleans()):
            sites = zip(structure, labels, strict=True)
            layers = sorted({label for site, label in sites if site.species_string == element})
            named = draw(st.lists(st.sampled_from(layers), unique=True))
            by_layer = tuple((layer, draw(values_of_u)) for layer in named)
            found.append(HubbardU(element, SHELLS[element], draw(values_of_u), layers=by_layer))
    return tuple(found)


def wanted_u(structure, hubbard):
    """Shell and U of each site, said once more without the code under test."""
    by_element = {u.element: u for u in hubbard}
    found = []
    for site, label in zip(structure, layer_labels(structure), strict=True):
        u = by_element.get(site.species_string)
        value = 0.0 if u is None else dict(u.layers).get(label, u.value)
        found.append((u.shell if value else None, value))
    return found


def versions(hubbard):
    """Those that take the U: 6.7 crashes with U on shells of two kinds, which is refused."""
    mixed = len({u.shell[-1] for u in hubbard if u.active}) > 1
    return VERSIONS[1:] if mixed else VERSIONS


def setup_of(code, structure, moments, hubbard, **request):
    settings = resolve_settings(structure, "static", code=code, protocol="fast")
    return Setup(code, structure, "static", settings, moments, hubbard, **request)


def card(text, name):
    """Rows of a card, up to an empty line."""
    return [row.split() for row in re.search(rf"^{name}.*\n((?:.+\n)*)", text, re.MULTILINE)[1].splitlines()]


def by_number(text, key):
    found = re.findall(rf"^ *{key}\((\d+)\) *= *(\S+)", text, re.MULTILINE | re.IGNORECASE)
    return {int(n): float(x) for n, x in found}


def read_pw(text, version):
    """What pw.x makes of an input: position, moment, angles, shell and U of each site.

    PW/src/input.f90: from 7.3 on, as soon as any starting_magnetization is 1 or more, all of them are μB.
    """
    kinds = [row[0] for row in card(text, "ATOMIC_SPECIES")]
    elements = [re.sub(r"\d", "", kind) for kind in kinds]
    starting = by_number(text, "starting_magnetization")
    values = [starting.get(n, 0.0) for n in range(1, len(kinds) + 1)]
    in_bohr = version >= (7, 3) and any(abs(value) >= 1 for value in values)
    assert in_bohr or all(abs(value) <= 1 for value in values)
    moments = [x if in_bohr else x * VALENCES[e] for e, x in zip(elements, values, strict=True)]
    u = dict.fromkeys(kinds, (None, 0.0))
    if version >= (7, 1):
        assert not re.search("lda_plus_u|hubbard_u", text, re.IGNORECASE)
        rows = card(text, "HUBBARD") if "HUBBARD" in text else []
        u |= {kind: (shell, float(x)) for _, at, x in rows for kind, shell in [at.split("-")]}
    else:
        assert "HUBBARD" not in text
        found = {kinds[n - 1]: x for n, x in by_number(text, "hubbard_u").items()}
        u |= {kind: (SHELLS[re.sub(r"\d", "", kind)], x) for kind, x in found.items()}
    assert set(u) == set(kinds)
    polar, azimuth = by_number(text, "angle1"), by_number(text, "angle2")
    numbers = {kind: n for n, kind in enumerate(kinds, start=1)}
    sites = card(text, "ATOMIC_POSITIONS")
    return {
        "elements": [elements[numbers[row[0]] - 1] for row in sites],
        "positions": np.array([[float(x) for x in row[1:]] for row in sites]),
        "moments": [moments[numbers[row[0]] - 1] for row in sites],
        "u": [u[row[0]] for row in sites],
        "angles": [(polar.get(numbers[row[0]], 0.0), azimuth.get(numbers[row[0]], 0.0)) for row in sites],
        "kinds": len(kinds),
    }


def read_vasp(deck):
    lines = deck.files["POSCAR"].splitlines()
    order = json.loads(deck.files["site_order.json"])["order"]
    counts = [int(n) for n in lines[6].split()]
    incar = Incar.from_str(deck.files["INCAR"])
    shells, values = incar.get("LDAUL", [-1] * len(counts)), incar.get("LDAUU", [0] * len(counts))
    u = [(ell, x) for ell, x, n in zip(shells, values, counts, strict=True) for _ in range(n)]
    cell = Poscar.from_str(deck.files["POSCAR"]).structure
    back = np.argsort(order)
    return {
        "elements": [cell[i].species_string for i in back],
        "positions": cell.frac_coords[back],
        "moments": [incar["MAGMOM"][i] for i in back],
        "u": [u[i] for i in back],
    }


def assert_positions(found, structure):
    assert found["elements"] == [site.species_string for site in structure]
    difference = found["positions"] - structure.frac_coords
    np.testing.assert_allclose(difference - np.round(difference), 0, atol=1e-9)


@given(requests())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
def test_every_moment_and_u_survives_the_way_to_pw_and_back(request_):
    structure, moments, hubbard = request_
    expected = wanted_u(structure, hubbard)
    elements = [site.species_string for site in structure]
    number = len(set(zip(elements, moments, expected, strict=True)))
    assume(number <= MAXIMUM_KINDS)
    for version in versions(hubbard):
        deck = write_espresso(setup_of("espresso", structure, moments, hubbard), PSEUDOS, version=version)
        found = read_pw(deck.files["pw.in"], version)
        assert_positions(found, structure)
        assert found["moments"] == pytest.approx(moments, abs=ACCURACY), f"pw.x {version}"
        assert found["u"] == expected
        assert found["kinds"] == number


@given(requests(most=6))
@settings(max_examples=60, deadline=None)
def test_every_moment_and_u_survives_the_way_to_vasp_and_back(request_):
    structure, moments, hubbard = request_
    found = read_vasp(write_vasp(setup_of("vasp", structure, moments, hubbard), POTCARS))
    assert_positions(found, structure)
    assert found["moments"] == pytest.approx(moments, abs=ACCURACY)
    numbers = {None: -1, "2p": 1, "3d": 2, "5d": 2}
    assert found["u"] == [(numbers[shell], value) for shell, value in wanted_u(structure, hubbard)]


def unit(vector):
    length = math.hypot(*vector)
    return tuple(x / length for x in vector)


axes = st.tuples(*[st.integers(-3, 3)] * 3).filter(any).map(unit)


@given(requests(most=2), axes)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
def test_every_vector_survives_the_way_through_both_codes(request_, axis):
    structure, moments, hubbard = request_
    directions = [axis] * len(structure)
    wanted = np.outer(moments, axis)
    vasp = write_vasp(setup_of("vasp", structure, moments, hubbard, directions=directions), POTCARS)
    np.testing.assert_allclose([list(m) for m in read_vasp(vasp)["moments"]], wanted, atol=1e-4)
    elements = [site.species_string for site in structure]
    assume(len(set(zip(elements, moments, wanted_u(structure, hubbard), strict=True))) <= MAXIMUM_KINDS)
    for version in versions(hubbard):
        if any(u.active for u in hubbard) and version in ((7, 1), (7, 2)):
            continue  # has no U for noncollinear runs
        setup = setup_of("espresso", structure, moments, hubbard, directions=directions)
        found = read_pw(write_espresso(setup, PSEUDOS, version=version).files["pw.in"], version)
        polar, azimuth = np.radians(found["angles"]).T
        vectors = np.array([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)]).T
        np.testing.assert_allclose(np.array(found["moments"])[:, None] * vectors, wanted, atol=1e-4)


def chain(elements):
    """Atoms on a line; only their elements matter here."""
    return Structure(Lattice.cubic(30), elements, [[i / len(elements), 0, 0] for i in range(len(elements))])


@given(
    st.lists(st.one_of(st.just(0.0), st.floats(-2, 2).map(lambda x: round(x, 2))), min_size=11, max_size=30),
    st.sampled_from([0.1, 0.25, 0.5, 2.0]),
)
@settings(max_examples=100, deadline=None)
def test_kinds_beyond_ten_are_merged_within_the_tolerance_or_refused(moments, tolerance):
    structure = chain(["Ti"] * len(moments))
    refused = ""
    try:
        table = build_species_table(structure, moments=moments, hubbard=[], tolerance=tolerance)
    except InputError as error:
        refused = str(error)
    if refused:
        assert re.search(r"needs \d+ species .* takes 10; give fewer distinct moments", refused)
        assert "\n" not in refused
        assert len(set(moments)) > MAXIMUM_KINDS
        assert tolerance < 2  # else all of one sign are one kind
        return
    became = [table.species[number].moment for number in table.site_numbers]
    assert len(table.species) <= MAXIMUM_KINDS
    for asked, got in zip(moments, became, strict=True):
        assert np.sign(asked) == np.sign(got)
        assert abs(asked - got) <= tolerance + 1e-6
    assert bool(table.merged) == (became != moments)
    for asked, got in zip(moments, became, strict=True):
        if asked != got:
            assert any(f"{asked:g}" in told and told.endswith(f"became {got:g} μB") for told in table.merged)


def test_what_is_merged_is_said_with_the_input():
    structure = build_superlattice([Block(build_material("SrTiO3"), 3)])
    elements = [site.species_string for site in structure]
    moments = [0.05 * (i + 1) if element == "O" else 0.0 for i, element in enumerate(elements)]
    setup = setup_of("espresso", structure, moments, ())
    deck = write_espresso(setup, PSEUDOS, version=(6, 7))
    found = read_pw(deck.files["pw.in"], (6, 7))
    assert found["kinds"] == MAXIMUM_KINDS
    assert any("O: starting moments" in note and "became" in note for note in deck.notes)
    differences = [abs(one - other) for one, other in zip(found["moments"], moments, strict=True)]
    assert max(differences) <= setup.settings.moment_tolerance + ACCURACY
    assert [m for m, e in zip(found["moments"], elements, strict=True) if e != "O"] == [0.0] * 6


def test_kinds_of_different_u_or_direction_are_never_merged():
    structure = build_superlattice([Block(build_material("SrTiO3"), 12)])
    moments = [float(site.species_string == "Ti") for site in structure]
    layers = tuple((f"SrTiO3:{n}", 0.1 * n) for n in range(1, 13))
    with pytest.raises(InputError, match=r"needs 14 species .* takes 10"):
        build_species_table(
            structure, moments=moments, hubbard=[HubbardU("Ti", "3d", 0.0, layers=layers)], tolerance=5.0
        )
    directions = [(math.cos(i), math.sin(i), 0.0) for i in range(len(structure))]
    with pytest.raises(InputError, match=r"needs 14 species .* takes 10"):
        build_species_table(structure, moments=moments, hubbard=[], directions=directions, tolerance=5.0)
