from __future__ import annotations

import json
from pathlib import Path

import layered_results as layered
import numpy as np
import pytest
from real_espresso import one_layer, qe_folder
from vasprun_by_pymatgen import result_from

from heterodft.analysis.layers import find_layering
from heterodft.analysis.overview import FolderOverview
from heterodft.analysis.readers import read_folder
from heterodft.analysis.result import ORBITALS, Bands, SiteValues
from heterodft.analysis.stoner import STONER_PARAMETERS, StonerProduct
from heterodft.errors import ReaderError
from heterodft.structures import Block, build_material, build_superlattice

D = ORBITALS.index("dxy")
TI = [i for i, site in enumerate(layered.STRUCTURE) if site.specie.symbol == "Ti"]


def metal(density, *, spins=1, **more):
    """`density` states per eV of both spins on each Ti, around the Fermi level."""
    values = layered.empty(spins=spins)
    for site, height in zip(TI, density, strict=True):
        values[site, D] = layered.box(-2.0, 2.0, 4.0 * height / spins)
    return layered.make(values, **more)


@pytest.mark.parametrize("spins", [1, 2])
def test_the_product_is_that_of_one_spin(spins):
    found = StonerProduct.from_result(metal([3.0, 1.0], spins=spins), parameters={"Ti": 0.8})
    np.testing.assert_allclose(found.density, [1.5, 0.5], rtol=1e-6)
    np.testing.assert_allclose(found.product, [1.2, 0.4], rtol=1e-6)
    assert found.to_frame()["unstable"].tolist() == [True, False]
    assert found.layers == ("SrTiO3:1", "SrTiO3:2")
    np.testing.assert_allclose(found.values, [[1.2], [0.4]], rtol=1e-6)


def test_the_table_gives_the_known_products_of_iron_cobalt_and_palladium():
    """Janak: N(EF) of both spins 42, 27 and 31 per Ry make 1.43, 0.97 and 0.78."""
    for element, states, product in (("Fe", 42, 1.43), ("Co", 27, 0.97), ("Pd", 31, 0.78)):
        one_spin = states / 13.6057 / 2
        assert STONER_PARAMETERS[element] * one_spin == pytest.approx(product, abs=0.01)
    assert STONER_PARAMETERS["Fe"] == pytest.approx(0.925, abs=1e-3)


def test_an_unknown_parameter_is_asked_for():
    with pytest.raises(ReaderError, match=r"no Stoner parameter is known for .*Ti; give it in eV for N\(EF\) of one"):
        StonerProduct.from_result(metal([1.0, 1.0]))
    with pytest.raises(ReaderError, match="for O"):
        StonerProduct.from_result(metal([1.0, 1.0]), elements=("O",), parameters={"Ti": 0.8})
    found = StonerProduct.from_result(metal([1.0, 1.0]), parameters={"Ti": 0.8})
    assert set(found.elements) == {"Ti"}
    assert not any("Janak" in note for note in found.notes)


def test_the_table_of_layers_shows_products_once_there_is_a_parameter():
    bands = Bands(
        np.array([[[-1.0], [1.0]]]), np.array([[[2.0], [0.0]]]), np.array([[0, 0, 0], [0.5, 0, 0]]), np.ones(2) / 2
    )
    run = metal([3.0, 1.0], spins=1, bands=bands, electrons=1.0)
    known = FolderOverview.from_result(run, folder=Path("run"), stoner={"Ti": 0.8}).to_frame().set_index("layer")
    titanium = known["I·N(EF), Ti"].dropna()
    assert titanium.to_dict() == pytest.approx({"SrTiO3:1": 1.2, "SrTiO3:2": 0.4})
    unknown = FolderOverview.from_result(run, folder=Path("run"))
    assert "I·N(EF), Ti" not in unknown.to_frame()
    assert "no Stoner parameter is known for" in unknown.missing["Stoner product"]


def test_a_parameter_of_the_elemental_metal_is_named_as_such():
    crn = build_superlattice([Block(build_material("CrN"), 2)])
    values = layered.empty(spins=1, structure=crn)
    values[:, D] = layered.box(-2.0, 2.0, 8.0)
    found = StonerProduct.from_result(layered.make(values, structure=crn))
    assert set(found.elements) == {"Cr"}
    assert found.notes[-1] == "I of Cr is that of the elemental metal (Janak 1977)"
    np.testing.assert_allclose(found.product, STONER_PARAMETERS["Cr"], rtol=1e-6)


def test_a_magnetic_run_is_refused():
    charges = (0.0,) * 20
    moments = (0.0, 0.0, 0.9, *(0.0,) * 17)
    sites = {"Löwdin": SiteValues("Löwdin", charges, moments)}
    for made in (metal([1, 1], total_moment=1.0), metal([1, 1], sites=sites)):
        with pytest.raises(ReaderError, match="run the order NM"):
            StonerProduct.from_result(made, parameters={"Ti": 0.8})
    split = metal([1.0, 1.0], spins=2)
    split.dos.values[TI[0], D, 1] *= 0.5
    with pytest.raises(ReaderError, match="spin-polarized with moments"):
        StonerProduct.from_result(split, parameters={"Ti": 0.8})


def test_a_peak_is_averaged_over_the_stated_width():
    values = layered.empty(spins=1)
    values[TI[0], D, 0] = np.exp(-((layered.GRID / 0.1) ** 2) / 2) / (0.1 * np.sqrt(2 * np.pi))
    made = layered.make(values)
    for width in (0.05, 0.2):
        (found, _) = StonerProduct.from_result(made, parameters={"Ti": 1.0}, width=width).density
        assert found == pytest.approx(0.5 / (np.sqrt(2 * np.pi) * np.hypot(0.1, width)), rel=1e-3)
    coarse = StonerProduct.from_result(made, parameters={"Ti": 1.0}, width=0.001)
    assert coarse.width == pytest.approx(0.01)
    assert "steps of 0.01 eV, wider than the 0.001 eV asked for" in coarse.notes[1]


def test_products_are_plain_json():
    found = StonerProduct.from_result(metal([3.0, 1.0]), parameters={"Ti": 0.8})
    assert json.loads(json.dumps(found.to_dict()))["product"] == pytest.approx([1.2, 0.4])


def test_real_titanium_is_far_from_ferromagnetic(shared_data):
    """hcp Ti: some 0.45 states per eV, atom and spin, of which spheres hold most."""
    run = result_from(shared_data / "vasp" / "ti_lorbit10_v660" / "vasprun.xml.gz", dos=True)
    found = StonerProduct.from_result(run, parameters={"Ti": 0.68}, layering=find_layering(one_layer(run.structure)))
    total = run.dos.total.sum(axis=0)
    whole = np.interp(run.fermi_level, run.dos.energies, total) / 2 / 2
    assert 0.5 * whole < found.density[0] < whole
    assert found.density[0] == pytest.approx(found.density[1], rel=1e-3)
    assert found.product.max() < 1
    assert "wider than the 0.05 eV asked for" in found.notes[1]


def test_real_iron_with_moments_is_refused(shared_data, tmp_path):
    names = {"aiida.out": "projwfc.out", "data-file-schema.xml": "x.save/data-file-schema.xml"}
    folder = qe_folder(shared_data / "qe" / "projwfc_fe2_collinear_v66", tmp_path / "run", files=names)
    (folder / "pw.out").write_text("     Program PWSCF v.6.6\n")
    with pytest.raises(ReaderError, match="run the order NM"):
        StonerProduct.from_result(read_folder(folder))


def test_a_fermi_level_outside_of_the_grid_is_told():
    with pytest.raises(ReaderError, match=r"the Fermi level, 30.00 eV, is outside of the energy grid .*EMAX"):
        StonerProduct.from_result(metal([1.0, 1.0], fermi=30.0, electrons=2.0), parameters={"Ti": 0.8})


def test_only_elements_whose_product_is_known_are_in_the_table():
    assert set(STONER_PARAMETERS) == {"Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Pd"}
    one_spin = {"Cr": 0.35, "Mn": 0.77, "Fe": 1.54, "Ni": 2.02, "Cu": 0.14, "Pd": 1.14}
    products = {element: states * STONER_PARAMETERS[element] for element, states in one_spin.items()}
    known = {"Cr": 0.27, "Mn": 0.63, "Fe": 1.43, "Ni": 2.04, "Cu": 0.11, "Pd": 0.78}
    assert products == pytest.approx(known, abs=0.012)
