"""The HUBBARD card against inputs and outputs of real versions, and against what pw.x reads.

INPUT_PW, card HUBBARD (PW/Doc/INPUT_PW.def of Quantum ESPRESSO 7.1 and later): ``HUBBARD { atomic | ortho-atomic |
norm-atomic | wf | pseudo }``, then lines ``U label-manifold u_val``, the label one of ATOMIC_SPECIES, which must come
before, the manifold such as 3d, the value in eV. card_hubbard in Modules/read_cards.f90 takes labels of at most four
characters and manifolds of exactly two, and stops at a second U of one label and manifold.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from heterodft.structures import Block, build_material, build_superlattice
from heterodft.templates.espresso import write_espresso
from heterodft.templates.hubbard import HubbardU, StartingOccupations
from heterodft.templates.protocols import resolve_settings
from heterodft.templates.pseudopotentials import Pseudopotential
from heterodft.templates.setup import Setup

VALENCES = {"Ni": 18.0, "O": 6.0, "K": 9.0, "Ta": 13.0, "La": 11.0, "Al": 3.0}
PSEUDOS = {e: Pseudopotential(e, Path(f"/pseudos/{e}.upf"), "0" * 64, v, 4) for e, v in VALENCES.items()}
OXIDE = build_superlattice([Block(build_material("NiO"), 2)])
TANTALATE = build_superlattice(
    [Block(build_material("KTaO3"), 2), Block(build_material("LaAlO3"), 1)], in_plane="KTaO3"
)
NAMES = ("atomic", "ortho-atomic", "norm-atomic", "wf", "pseudo")
HEADER = re.compile(rf"HUBBARD *[{{(]? *({'|'.join(NAMES)}) *[}})]?")
LINE = re.compile(r"U ([A-Z][a-z]?\w{0,2})-([1-7][spdf]) (-?\d+(?:\.\d+)?(?:[eEdD][+-]?\d+)?)")


def write(structure, hubbard, moments=None, version=(7, 2)):
    settings = resolve_settings(structure, "static", protocol="fast")
    setup = Setup("espresso", structure, "static", settings, moments, hubbard)
    return write_espresso(setup, PSEUDOS, version=version).files["pw.in"]


def read_card(text):
    """Projectors and U by label and manifold, as card_hubbard reads them, and refuses them."""
    cards = re.split(r"^(?=[A-Z_]{5,})", text, flags=re.MULTILINE)
    names = [card.split()[0] for card in cards]
    assert names.index("ATOMIC_SPECIES") < names.index("HUBBARD")
    assert names.count("HUBBARD") == 1
    species = [row.split()[0] for row in cards[names.index("ATOMIC_SPECIES")].splitlines()[1:] if row.strip()]
    header, *rows = [row.strip() for row in cards[names.index("HUBBARD")].splitlines() if row.strip()]
    assert rows
    found = {}
    for row in rows:
        label, manifold, value = LINE.fullmatch(row).groups()
        assert label in species
        assert (label, manifold) not in found
        found[label, manifold] = float(value)
    return HEADER.fullmatch(header)[1], found


def antiferromagnet():
    signs = iter([1.0, -1.0] * len(OXIDE))
    return [2 * next(signs) if site.species_string == "Ni" else 0.0 for site in OXIDE]


def test_the_card_has_the_form_of_a_real_input_of_an_antiferromagnet(shared_data):
    path = shared_data / "qe" / "pw_nio_afm_u_v65" / "NiO.scf.2.in"
    if not path.is_file():
        pytest.skip("the real input with a HUBBARD card is not beside the project")
    theirs = read_card(path.read_text())
    ours = read_card(write(OXIDE, (HubbardU("Ni", "3d", 3.0),), antiferromagnet()))
    assert theirs == ("atomic", {("Ni1", "3d"): 3.0, ("Ni2", "3d"): 3.0})
    assert ours == ("ortho-atomic", theirs[1])


def test_the_projectors_and_units_are_those_of_a_real_run(shared_data):
    path = shared_data / "qe" / "pw_hubbard_v72" / "aiida.out"
    if not path.is_file():
        pytest.skip("the real output of 7.2 with U is not beside the project")
    text = path.read_text()
    projectors = re.search(r"Hubbard projectors: (\S+)", text)[1]
    shown = re.search(r"in eV:\n\s+U\((\w+)-(\w+)\) =\s+([\d.]+)", text)
    assert (projectors, *shown.groups()) == ("ortho-atomic", "Co", "3d", "5.0000")
    ours = read_card(write(OXIDE, (HubbardU("Ni", "3d", float(shown[3])),)))
    assert ours == (projectors, {("Ni", shown[2]): float(shown[3])})


@pytest.mark.parametrize("version", [(7, 1), (7, 2), (7, 3), (7, 5)])
def test_each_layer_has_a_line_of_its_own(version):
    hubbard = (HubbardU("Ta", "5d", 1.0, layers=(("KTaO3:1", 2.25),)), HubbardU("La", "4f", 8.1))
    _, found = read_card(write(TANTALATE, hubbard, version=version))
    assert found == {("Ta1", "5d"): 2.25, ("Ta2", "5d"): 1.0, ("La", "4f"): 8.1}


def test_a_layer_without_u_has_no_line():
    _, found = read_card(write(TANTALATE, (HubbardU("Ta", "5d", 0.0, layers=(("KTaO3:1", 2.0),)),)))
    assert found == {("Ta1", "5d"): 2.0}


@pytest.mark.parametrize("value", [0.000123456, -2.5, 19.99, 1 / 3])
def test_a_value_is_written_as_fortran_reads_it(value):
    _, found = read_card(write(OXIDE, (HubbardU("Ni", "3d", value),)))
    assert found == {("Ni", "3d"): pytest.approx(value, rel=1e-5)}


def test_the_shells_of_different_elements_stand_side_by_side():
    _, found = read_card(write(OXIDE, (HubbardU("Ni", "3d", 6.0), HubbardU("O", "2p", 1.5))))
    assert found == {("Ni", "3d"): 6.0, ("O", "2p"): 1.5}


def test_the_card_is_the_last_and_ends_the_file():
    text = write(OXIDE, (HubbardU("Ni", "3d", 6.0),))
    assert text.endswith("\nHUBBARD {ortho-atomic}\nU Ni-3d 6\n")
    assert "lda_plus_u" not in text


def test_starting_occupations_stay_in_the_namelist_beside_the_card():
    start = StartingOccupations((1.0, None, 0.0, 0.0, 0.0), (None,) * 5)
    moments = antiferromagnet()
    text = write(OXIDE, (HubbardU("Ni", "3d", 6.0, start=start),), moments)
    _, found = read_card(text)
    assert found == {("Ni1", "3d"): 6.0, ("Ni2", "3d"): 6.0}
    values = [("1", "1.0"), ("3", "0.0"), ("4", "0.0"), ("5", "0.0")]
    namelist = re.findall(r"starting_ns_eigenvalue\((\d),(\d),(\d)\) = (\S+)", text)
    # The kind whose moment points down has up and down exchanged.
    assert namelist == [(m, spin, kind, n) for spin, kind in (("1", "1"), ("2", "3")) for m, n in values]
