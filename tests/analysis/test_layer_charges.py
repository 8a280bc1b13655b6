from __future__ import annotations

import json

import numpy as np
import pytest
from made_results import made_result

from heterodft.analysis.charges import LayerCharges
from heterodft.analysis.result import SiteValues
from heterodft.analysis.sphere_radii import other_spheres, sphere_radii
from heterodft.errors import ReaderError
from heterodft.structures import Block, build_material, build_superlattice, enumerate_defects
from heterodft.units import BOHR

STO, LAO = build_material("SrTiO3"), build_material("LaAlO3")
STACK = build_superlattice([Block(STO, 4), Block(LAO, 2)])
BULK = build_superlattice([Block(STO, 1)])
ELECTRONS = {"Sr": 10.0, "Ti": 11.0, "O": 6.5, "La": 10.5, "Al": 2.5}


def charges_of(structure, **added):
    """Bulk charges with what is added to single sites, named s3."""
    values = [ELECTRONS[site.specie.symbol] for site in structure]
    for name, more in added.items():
        values[int(name[1:])] += more
    return values


def titanium(structure, layer):
    labels = zip(structure.site_properties["material"], structure.site_properties["layer"], structure, strict=True)
    return next(i for i, (m, n, s) in enumerate(labels) if (m, n, s.specie.symbol) == ("SrTiO3", layer, "Ti"))


def test_an_electron_more_on_one_titanium_is_found_in_its_layer():
    site = titanium(STACK, 4)
    result = made_result(STACK, charges=charges_of(STACK, **{f"s{site}": 0.3}), code="vasp")
    bulk = made_result(BULK, charges=charges_of(BULK), code="vasp")
    charges = LayerCharges.from_result(result, reference=bulk)
    assert charges.reference == "bulk"
    assert charges.transfer[:4, 0] == pytest.approx([0, 0, 0, 0.3])
    assert np.isnan(charges.transfer[4:]).all()
    assert "no bulk reference for LaAlO3" in charges.notes
    assert charges.valence[3, 0, charges.cations.index("Ti")] == pytest.approx(-0.3)
    assert charges.cations == ("Sr", "Ti", "La", "Al")
    assert charges.missing == pytest.approx([1.0])


def test_without_a_bulk_the_inner_layers_of_the_block_are_the_reference_and_named():
    site = titanium(STACK, 1)
    charges = LayerCharges.from_result(made_result(STACK, charges=charges_of(STACK, **{f"s{site}": -0.2})))
    assert charges.reference == "inner layers of the same block"
    assert charges.transfer[:4, 0] == pytest.approx([-0.2, 0, 0, 0])
    assert np.isnan(charges.transfer[4:]).all()
    assert "no charge transfer of LaAlO3: no layer lies inside it; compare with a bulk run" in charges.notes
    planes = LayerCharges.from_result(made_result(STACK, charges=charges_of(STACK, **{f"s{site}": -0.2})), by="plane")
    assert planes.transfer[:8, 0] == pytest.approx([0, -0.2, 0, 0, 0, 0, 0, 0])


def test_references_by_material_are_results_electrons_by_element_or_a_formula_unit():
    result = made_result(STACK, charges=charges_of(STACK), code="vasp")
    bulk = made_result(BULK, charges=charges_of(BULK), code="vasp")
    unit = ELECTRONS["La"] + ELECTRONS["Al"] + 3 * ELECTRONS["O"]
    for lao in (ELECTRONS, unit):
        charges = LayerCharges.from_result(result, reference={"SrTiO3": bulk, "LaAlO3": lao})
        assert charges.transfer[:, 0] == pytest.approx(np.zeros(6))
    charges = LayerCharges.from_result(result, reference={"LaAlO3": unit + 0.1})
    assert charges.transfer[4:, 0] == pytest.approx([-0.1, -0.1])


def test_spheres_of_another_size_are_not_compared_and_loewdin_charges_are():
    """Of pw.x; the radii are what pw.x 6.7 prints as new r_m (a.u.) for CaRuO3 strained to LSAT."""
    values = charges_of(STACK)
    sites = {kind: SiteValues(kind, tuple(values), None) for kind in ("sphere", "Löwdin")}
    of_bulk = {kind: SiteValues(kind, tuple(charges_of(BULK)), None) for kind in ("sphere", "Löwdin")}
    charges = LayerCharges.from_result(made_result(STACK, sites=sites), reference=made_result(BULK, sites=of_bulk))
    assert np.isnan(charges.transfer[:4, 0]).all()
    assert charges.transfer[:4, 1] == pytest.approx(np.zeros(4))
    (note,) = (note for note in charges.notes if "spheres" in note)
    assert note.startswith("charges of O, Sr, Ti in spheres are not compared")  # at the interface they are nearer
    assert other_spheres(made_result(BULK), made_result(BULK)) == []
    ruthenate = build_superlattice([Block(build_material("CaRuO3", a=3.85), 2)], in_plane="LSAT")
    radii = {name: radius / BOHR for name, radius in sphere_radii(ruthenate).items()}
    assert radii == pytest.approx({"Ca": 2.1173, "Ru": 1.4866, "O": 1.4866}, abs=2e-4)


def test_a_vacancy_takes_no_electrons_from_the_atoms_that_stay():
    host = build_superlattice([Block(STO, 2), Block(LAO, 2)], supercell=(2, 2))
    defect = enumerate_defects(host, "V_O", where="all")[0].structure
    result = made_result(defect, charges=charges_of(defect))
    charges = LayerCharges.from_result(result, reference={"SrTiO3": ELECTRONS, "LaAlO3": ELECTRONS})
    assert charges.transfer[:, 0] == pytest.approx(np.zeros(4))
    units = LayerCharges.from_result(result, reference={"SrTiO3": 40.5, "LaAlO3": 32.5})
    assert any("is no whole number of SrTiO3" in note for note in units.notes)
    assert np.isnan(units.transfer[:, 0]).sum() == 1


def test_a_bulk_cell_is_compared_with_its_own_mean():
    structure = build_superlattice([Block(STO, 2)])
    charges = LayerCharges.from_result(made_result(structure, charges=charges_of(structure, s0=0.2)))
    assert charges.transfer[:, 0] == pytest.approx([0.1, -0.1])


def test_a_kind_that_the_bulk_does_not_have_is_not_compared():
    values = SiteValues("Löwdin", tuple(charges_of(STACK)), None)
    both = made_result(STACK, sites={"Löwdin": values, "sphere": values})
    bulk = made_result(BULK, charges=charges_of(BULK), kind="Löwdin")
    charges = LayerCharges.from_result(both, reference=bulk)
    assert charges.kinds == ("sphere", "Löwdin")
    assert np.isnan(charges.transfer[0, 0])
    assert charges.transfer[0, 1] == pytest.approx(0)


def test_tables_and_data_name_the_kind_and_the_reference():
    charges = LayerCharges.from_result(made_result(STACK))
    frame = charges.to_frame()
    assert {"sphere charge (electrons)", "sphere transfer (electrons)"} < set(frame)
    assert "sphere valence change of Ti (e)" in frame
    assert frame.attrs["reference"] == charges.reference
    data = json.loads(json.dumps(charges.to_dict(), allow_nan=False))
    assert data["transfer"][-1] == [None]


def test_where_nothing_can_be_compared_the_charges_are_drawn():
    thin = build_superlattice([Block(STO, 1), Block(LAO, 1)])
    charges = LayerCharges.from_result(made_result(thin))
    assert charges.quantity == "valence electrons"
    assert charges.values.tolist() == charges.charges.tolist()
    assert LayerCharges.from_result(made_result(STACK)).quantity == "electrons against inner layers of the same block"


def test_a_material_that_is_not_there_is_told():
    with pytest.raises(ReaderError, match="reference: SrTi03 is not in the stack; did you mean 'SrTiO3'"):
        LayerCharges.from_result(made_result(STACK), reference={"SrTi03": 40.0})


def test_the_last_plane_of_a_slab_is_compared_with_its_like():
    """TiO2 on top of a slab is the first plane of its layer, but not SrO."""
    slab = build_superlattice([Block(STO, 5)], vacuum=12.0)
    top = [i for i, site in enumerate(slab) if site.properties["layer"] == 1 and site.specie.symbol == "Sr"]
    plane = slab[top[0]].properties["plane"]
    slab.remove_sites([i for i, site in enumerate(slab) if site.properties["plane"] == plane])
    amounts = charges_of(slab)
    for i, site in enumerate(slab):
        with_strontium = any(
            s.specie.symbol == "Sr" and s.properties["plane"] == site.properties["plane"] for s in slab
        )
        amounts[i] += 0.2 if site.specie.symbol == "O" and with_strontium else 0.0
    found = LayerCharges.from_result(made_result(slab, charges=amounts))
    np.testing.assert_allclose(found.transfer, 0.0, atol=1e-12)
