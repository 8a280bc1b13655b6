"""How a run of VASP was computed, from its tags and POTCARs."""

from __future__ import annotations

import pytest

from heterodft.analysis.readers.vasp.method import VaspSettings, method_of, parse_incar

PBE, LDA = ("PAW_PBE Ni_pv 06Sep2000", "PAW_PBE O 08Apr2002"), ("PAW O 31May2000",)


@pytest.mark.parametrize(
    ("tags", "titles", "xc"),
    [
        ({}, PBE, "PBE"),
        ({}, LDA, "LDA"),
        ({}, (), None),
        ({"GGA": "PS"}, PBE, "PBEsol"),
        ({"GGA": "--", "LEXCH": 8}, PBE, "PBE"),
        ({"GGA": "--", "METAGGA": "F"}, PBE, "PBE"),
        ({"METAGGA": "SCAN"}, PBE, "SCAN"),
        ({"METAGGA": "R2scan"}, PBE, "r2SCAN"),
        ({"LHFCALC": True, "HFSCREEN": 0.2}, PBE, "HSE06"),
        ({"LHFCALC": True, "HFSCREEN": 0.2, "AEXX": 0.25}, PBE, "HSE06"),
        ({"LHFCALC": True}, PBE, "PBE0"),
        ({"LHFCALC": True, "AEXX": 0.3, "HFSCREEN": 0.2}, PBE, "hybrid of PBE (AEXX 0.3, HFSCREEN 0.2)"),
        ({"LHFCALC": False, "AEXX": 0.0}, PBE, "PBE"),
    ],
)
def test_functionals(tags, titles, xc):
    assert method_of(VaspSettings(tags, titles), None).get("xc") == xc


@pytest.mark.parametrize(
    ("ismear", "words"),
    [
        (-5, "tetrahedron (Blöchl)"),
        (-1, "Fermi-Dirac"),
        (0, "Gaussian"),
        (1, "Methfessel-Paxton 1"),
        (2, "Methfessel-Paxton 2"),
    ],
)
def test_smearings(ismear, words):
    assert method_of(VaspSettings({"ISMEAR": ismear, "SIGMA": 0.1}), None) == {
        "smearing": words,
        "smearing_width": 0.1,
    }


def test_species_of_one_element_keep_their_own_u():
    titles = ("PAW_PBE Ti_pv 07Sep2000", "PAW_PBE Ti_pv 07Sep2000", "PAW_PBE O 08Apr2002")
    tags = {"LDAU": True, "LDAUL": [2, 2, -1], "LDAUU": [4.0, 2.0, 0.0], "LDAUJ": [0.5, 0.0, 0.0]}
    assert method_of(VaspSettings(tags, titles), None)["hubbard"] == {
        "Ti": {"shell": "d", "L": 2, "U": 4.0, "J": 0.5},
        "Ti(2)": {"shell": "d", "L": 2, "U": 2.0, "J": 0.0},
    }


def test_a_run_without_u_says_so():
    assert method_of(VaspSettings({"LDAU": False, "LDAUU": [4.0]}, PBE), None)["hubbard"] == {}


@pytest.mark.parametrize(("electrons", "charge"), [(22.0, 0.0), (21.0, 1.0), (23.5, -1.5)])
def test_the_charge_is_what_electrons_are_missing(electrons, charge):
    settings = VaspSettings({}, PBE, (16.0, 6.0), (1, 1))
    assert method_of(settings, electrons)["charge"] == charge


def test_incar_as_people_write_it():
    text = (
        "System = a b ! words\n ENCUT=520 ; ISMEAR = -5 # tetrahedra\nLDAU = .TRUE.\nMAGMOM = 2*1.5 -3 \\\n 2*0\n"
        "SIGMA = 5d-2\nALGO = Fast\n! LSORBIT = T\nENCUT = 300\n"
    )
    assert parse_incar(text) == {
        "SYSTEM": ["a", "b"], "ENCUT": 520, "ISMEAR": -5, "LDAU": True, "MAGMOM": [1.5, 1.5, -3, 0, 0], "SIGMA": 0.05,
        "ALGO": "Fast",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        ({"PREC": "accura", "ADDGRID": False}, {"precision": "accurate", "support_grid": False}),
        ({"PREC": "Accurate", "ADDGRID": True}, {"precision": "accurate", "support_grid": True}),
        ({"PREC": "Normal"}, {"precision": "normal"}),
        ({"LREAL": False}, {"projectors": "reciprocal"}),
        ({"LREAL": "Auto"}, {"projectors": "real"}),
        ({"LREAL": True}, {"projectors": "real"}),
        ({"LASPH": True, "LDIPOL": False}, {"aspherical": True, "dipole": False}),
        ({}, {}),
    ],
)
def test_grids_projectors_and_spheres(tags, told):
    keys = ("precision", "support_grid", "projectors", "aspherical", "dipole")
    method = method_of(VaspSettings(tags), None)
    assert {key: method[key] for key in keys if key in method} == told
