from __future__ import annotations

import gzip

import numpy as np
import pytest

from heterodft.analysis.readers import read_folder
from heterodft.analysis.readers.espresso.atomic_proj import find_atomic_proj, read_band_projections
from heterodft.analysis.readers.espresso.lowdin import read_atomic_states, read_lowdin
from heterodft.analysis.readers.espresso.xml import read_pw_xml
from heterodft.analysis.result import ORBITALS, SHELLS
from heterodft.errors import ReaderError


@pytest.fixture
def layers(shared_data):
    return shared_data / "qe" / "nio_crn_superlattice_v67"


def test_charges_from_projections_and_occupations_are_those_printed(layers):
    found = read_folder(layers, projections=True)
    bands, printed = found.bands, found.sites["Löwdin"]
    assert bands.projections.shape == (2, 12, 52, 8, 16)
    filled = np.einsum("skb,k,skbio->sio", bands.occupations, bands.weights, bands.projections)
    np.testing.assert_allclose(filled.sum(axis=(0, 2)), printed.charges, atol=6e-5)
    np.testing.assert_allclose((filled[0] - filled[1]).sum(axis=1), printed.moments, atol=6e-5)
    shells = np.array([[filled[:, i, [o[0] == s for o in ORBITALS]].sum() for s in SHELLS] for i in range(8)])
    np.testing.assert_allclose(shells, printed.shell_charges, atol=6e-5)
    # Ni1 up in projwfc.out: dz2, dxz, dyz, dx2-y2, dxy
    d = filled[0, 0, 4:9]
    d[1:3] = d[1:3].mean()  # projwfc.x adds symmetry
    np.testing.assert_allclose(d, [0.9818, 0.9960, 0.9960, 0.9985, 0.9925], atol=6e-5)
    assert bands.projections.sum(axis=(3, 4)).max() < 1


def test_projections_are_decoded_only_when_asked_for(layers):
    assert read_folder(layers).bands.projections is None


def test_shells_of_charge_and_moment_are_those_printed(layers):
    found = read_lowdin(layers / "projwfc.out.gz", polarized=True, sites=8)
    assert found.shell_charges[0].tolist() == [0.4970, 0.0, 8.3388, 0.0]
    assert found.shell_moments[0].tolist() == [0.0019, 0.0, 1.5910, 0.0]


@pytest.fixture
def unpacked(layers, tmp_path):
    for name in ("atomic_proj.xml", "data-file-schema.xml", "projwfc.out"):
        (tmp_path / name).write_bytes(gzip.decompress((layers / f"{name}.gz").read_bytes()))
    return tmp_path


def test_a_file_that_is_cut_off_damaged_or_of_another_run_is_told(unpacked, shared_data):
    path, output = unpacked / "atomic_proj.xml", unpacked / "projwfc.out"
    bands, text = read_pw_xml(unpacked / "data-file-schema.xml").bands, path.read_text()

    def message(new):
        path.write_text(new)
        with pytest.raises(ReaderError) as told:
            read_band_projections(path, output, bands, sites=8)
        return str(told.value)

    for part in range(1, 20):
        assert "run projwfc.x again" in message(text[: len(text) * part // 20])
    assert "no number" in message(text.replace("1.5347522021601789E-002", "1.53475220*1601789E-002"))
    assert "other bands" in message(text.replace("-4.306919328569254E+00", "-4.406919328569254E+00"))
    assert "before 6.4" in message("<Root><HEADER/></Root>")
    other = shared_data / "qe" / "projwfc_fe2_collinear_v66" / "aiida.out"
    path.write_text(text)
    with pytest.raises(ReaderError, match=r"has 48 states, the output of projwfc.x 26"):
        read_band_projections(path, other, bands, sites=8)


def test_without_file_or_list_of_states_there_are_no_projections(unpacked):
    (unpacked / "projwfc.out").unlink()
    found = read_folder(unpacked, projections=True)
    assert any("no list of its atomic states" in note for note in found.notes)
    (unpacked / "atomic_proj.xml").unlink()
    with pytest.raises(ReaderError, match=r"holds no atomic_proj.xml; run projwfc.x there"):
        find_atomic_proj(unpacked)


def test_states_of_spinors_are_listed(tmp_path, shared_data):
    path = tmp_path / "projwfc.out"
    path.write_text(
        "     state #   1: atom   1 (Fe ), wfc  1 (l=0 j=0.5 m_j=-0.5)\n"
        "     state #   2: atom   1 (Fe ), wfc  2 (l=2 j=2.5 m_j= 1.5)\n"
    )
    assert [(s.l, s.j, s.m) for s in read_atomic_states(path)] == [(0, 0.5, None), (2, 2.5, None)]
    noncollinear = read_atomic_states(shared_data / "qe" / "projwfc_fe2_noncollinear_v66" / "aiida.out")
    assert len(noncollinear) == 52
    assert (noncollinear[15].m, noncollinear[15].spin, noncollinear[51].site) == (3, -0.5, 1)
    path.write_text(path.read_text().replace("state #   1", "state #   3"))
    with pytest.raises(ReaderError, match="no complete list of atomic states"):
        read_atomic_states(path)
