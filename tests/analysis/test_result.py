from __future__ import annotations

import json
import re
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from heterodft.analysis.readers.espresso.xml import read_pw_xml
from heterodft.analysis.result import ORBITALS, Bands, ProjectedDos, Result, SiteValues
from heterodft.errors import ReaderError, StorageError
from heterodft.files import read_json, write_json
from heterodft.structures import Block, build_material, build_superlattice

STRUCTURE = build_superlattice([Block(build_material("SrTiO3"), 1)])


def result(spins=2):
    random = np.random.default_rng(0)
    energies = np.linspace(-5, 5, 21)
    bands = np.array([[[-1.0, 2.0], [-1.5, 2.5]]] * spins)
    return Result(
        code="espresso",
        version="6.7",
        step="dos",
        structure=STRUCTURE,
        electrons=2.0,
        energy=-1234.5678901234,
        fermi_levels=(0.5, 0.25)[:spins],
        total_moment=None if spins == 1 else 1.0,
        absolute_moment=None if spins == 1 else 1.25,
        sites={
            "Löwdin": SiteValues("Löwdin", (10.0, 11.9, 6.5, 6.5, 6.5), (0.0, 1.0, 0.0, 0.0, 0.0)),
            "sphere": SiteValues("sphere", (9.0, 10.9, 5.5, 5.5, 5.5), None),
        },
        converged=True,
        iterations=12,
        accuracy=1e-8,
        cpu_seconds=1.5,
        wall_seconds=2.5,
        bands=Bands(bands, (bands < 0) * 1.0, np.array([[0, 0, 0], [0.5, 0, 0]]), np.array([0.25, 0.75])),
        dos=ProjectedDos(energies, random.random((5, len(ORBITALS), spins, 21)), random.random((spins, 21))),
        spilling=0.006,
        request={"id": "0123456789ab", "about": {"label": "Å"}},
    )


@pytest.mark.parametrize("spins", [1, 2])
def test_a_result_comes_back_as_it_was_saved(tmp_path, spins):
    saved = result(spins)
    saved.save(tmp_path)
    loaded = Result.load(tmp_path)
    plain = {key: value for key, value in vars(saved).items() if key not in ("bands", "dos", "structure")}
    assert {key: vars(loaded)[key] for key in plain} == plain
    for name, value in vars(saved.bands).items():
        np.testing.assert_array_equal(vars(loaded.bands)[name], value)
    np.testing.assert_array_equal(loaded.dos.energies, saved.dos.energies)
    np.testing.assert_array_equal(loaded.dos.total, saved.dos.total)
    np.testing.assert_allclose(loaded.dos.values, saved.dos.values, rtol=1e-6)
    assert loaded.structure == saved.structure
    assert loaded.structure.site_properties == saved.structure.site_properties
    assert sorted(path.name for path in tmp_path.iterdir()) == ["result.json", "result.npz"]


def test_a_result_without_arrays_comes_back_without(tmp_path):
    replace(result(), bands=None, dos=None, sites={}, energy=None, converged=None).save(tmp_path)
    loaded = Result.load(tmp_path)
    assert (loaded.bands, loaded.dos, loaded.sites, loaded.energy, loaded.converged) == (
        None,
        None,
        {},
        None,
        None,
    )


def test_the_readable_part_is_plain_json_with_the_keys_that_programs_use():
    data = json.loads(json.dumps(result().to_dict(), allow_nan=False))
    assert (data["energy"], data["gap"], data["moment"], data["converged"]) == (-1234.5678901234, 3.0, 1.0, True)
    assert (data["id"], data["schema"]) == ("0123456789ab", 1)
    assert data["sites"]["sphere"]["moments"] is None


def test_the_fermi_level_is_the_higher_of_two_and_the_id_that_of_the_request():
    assert result().fermi_level == 0.5
    assert result().id == "0123456789ab"
    assert replace(result(), request={}).id is None


def test_a_run_without_empty_bands_can_be_saved(shared_data, tmp_path):
    xml = read_pw_xml(shared_data / "qe" / "pw_hubbard_v72" / "data-file-schema.xml")
    lco = replace(
        result(1), bands=xml.bands, dos=None, electrons=xml.electrons, fermi_levels=xml.fermi_levels, sites={}
    )
    lco.save(tmp_path)
    assert read_json(tmp_path / "result.json")["gap"] is None


def test_missing_and_cut_off_files_are_reader_errors_with_their_path(tmp_path):
    with pytest.raises(ReaderError, match=r"cannot read .*result.json"):
        Result.load(tmp_path)
    result().save(tmp_path)
    (tmp_path / "result.npz").unlink()
    with pytest.raises(ReaderError, match=r"cannot read .*result.npz: .*; analyse the folder again"):
        Result.load(tmp_path)
    text = (tmp_path / "result.json").read_text()
    (tmp_path / "result.json").write_text(text[: len(text) // 2])
    with pytest.raises(ReaderError, match=r"cannot read .*result.json"):
        Result.load(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_arrays_cut_off_are_a_reader_error(tmp_path, share):
    result().save(tmp_path)
    path = tmp_path / "result.npz"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    kind, text = None, ""
    try:
        Result.load(tmp_path)
    except (ReaderError, zipfile.BadZipFile, EOFError) as error:
        kind, text = type(error), str(error)
    assert kind is ReaderError
    assert re.search(r"cannot read .*result.npz: .*; analyse the folder again", text)


def test_a_file_with_a_key_missing_is_a_reader_error(tmp_path):
    result().save(tmp_path)
    data = read_json(tmp_path / "result.json")
    del data["sites"]
    write_json(tmp_path / "result.json", data)
    with pytest.raises(ReaderError, match=r"result.json"):
        Result.load(tmp_path)


def test_a_file_of_another_schema_is_told(tmp_path):
    result().save(tmp_path)
    data = read_json(tmp_path / "result.json")
    write_json(tmp_path / "result.json", data | {"schema": 2})
    with pytest.raises(ReaderError, match=r"result.json: schema 2 is not 1; analyse it again"):
        Result.load(tmp_path)


def test_a_folder_that_is_gone_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match=r"cannot write .*gone/result.npz"):
        result().save(tmp_path / "gone")


def test_orbitals_are_named_once_and_counted_by_shell():
    assert len(set(ORBITALS)) == len(ORBITALS) == 1 + 3 + 5 + 7
    assert "".join(name[0] for name in ORBITALS) == "s" + "p" * 3 + "d" * 5 + "f" * 7
