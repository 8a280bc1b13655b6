from __future__ import annotations

import hashlib
import re
import subprocess
import zipfile

import pytest

from heterodft.errors import PseudopotentialError, StorageError
from heterodft.templates.pseudopotentials import (
    Family,
    family_for,
    find_pseudopotentials,
    install_family,
    known_families,
    parse_upf_header,
)
from heterodft.units import RYDBERG


def upf(element="Ti", valence="12.00", wavefunctions=4, *, functional=" PBE ", relativity='relativistic="scalar"'):
    return (
        '<UPF version="2.0.1">\n<PP_INFO>of z_valence="99" nothing</PP_INFO>\n'
        f'<PP_HEADER\n  generated="by hand"\n  element="{element}"\n  pseudo_type="NC"\n'
        f'  functional="{functional}"\n  {relativity}\n'
        f'  z_valence="{valence}"\n  number_of_wfc="{wavefunctions}"/>\n<PP_MESH/>\n</UPF>\n'
    )


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def family(tmp_path, monkeypatch):
    """A family of two small files, its archive beside it, nothing installed yet."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    texts = {"Ti": upf(), "O": upf("O", "6.0", 2)}
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        for element, text in texts.items():
            archive.writestr(f"inside/{element}.upf", text)
    entries = {
        e: {"file": f"{e}.upf", "sha256": digest(t), "valence": v, "wavefunctions": w}
        for (e, t), v, w in zip(texts.items(), (12.0, 6.0), (4, 2), strict=True)
    }
    entries["Ti"]["cutoff"] = 84.0
    family = Family("tiny", "PBE", "tiny==1.0", "inside/", "Cite the author.", entries)
    monkeypatch.setattr("heterodft.templates.families.known_families", lambda: {"tiny": family})
    return family


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "pseudos"
    made.mkdir()
    return made


@pytest.mark.parametrize("valence", ["12.00", "1.200D+01", " 12 ", "1.2E1"])
def test_the_header_tells_element_valence_wavefunctions_and_functional(valence):
    header = parse_upf_header(upf(valence=valence))
    assert (header.element, header.valence, header.wavefunctions, header.functional) == ("Ti", 12.0, 4, "PBE")


def test_the_element_is_spelled_as_the_periodic_table_does():
    assert parse_upf_header(upf(element=" O ")).element == "O"
    assert parse_upf_header(upf(element="TI")).element == "Ti"


@pytest.mark.parametrize(
    "text", ["", "<PP_HEADER>\n 0 Version\n Ti Element\n</PP_HEADER>", upf().replace("z_val", "val")]
)
def test_a_file_of_another_format_is_told(text):
    with pytest.raises(PseudopotentialError, match="not a UPF file of format 2: its header lacks"):
        parse_upf_header(text)


@pytest.mark.parametrize(
    "name", ["Ti.upf", "ti.UPF", "Ti.pbe-spn-rrkjus_psl.1.0.0.UPF", "Ti_ONCV_PBE-1.0.upf", "ti-x.upf"]
)
def test_a_file_is_found_by_its_element_at_the_start_of_its_name(folder, name):
    (folder / name).write_text(upf())
    (folder / "Tix.upf").write_text(upf("O"))
    (folder / "T.upf").write_text(upf("O"))
    (folder / "Ti.txt").write_text("notes")
    found = find_pseudopotentials(["Ti", "Ti"], xc="PBE", folder=folder)
    assert set(found) == {"Ti"}
    assert found["Ti"].path == folder / name
    assert (found["Ti"].valence, found["Ti"].wavefunctions, found["Ti"].sha256) == (12.0, 4, digest(upf()))


def test_one_letter_elements_do_not_take_the_files_of_others(folder):
    for element in ("Ni", "Na", "N"):
        (folder / f"{element}.upf").write_text(upf(element))
    assert find_pseudopotentials(["N"], xc="PBE", folder=folder)["N"].path.name == "N.upf"


@pytest.mark.parametrize(
    ("relativity", "known"),
    [('relativistic="full"', "full"), ('relativistic="no"', "no"), ("", "scalar"), ('has_so="T"', "full"),
     ('relativistic="scalar" has_so=".false."', "scalar")],
)  # fmt: skip
def test_the_header_tells_how_relativistic_it_is(folder, relativity, known):
    (folder / "Ti.upf").write_text(upf(relativity=relativity))
    found = find_pseudopotentials(["Ti"], xc="PBE", folder=folder)["Ti"]
    assert found.relativistic == known
    assert (found.functional, found.suggested_cutoff) == ("PBE", None)


def test_spin_orbit_coupling_needs_a_fully_relativistic_file(folder):
    (folder / "Ti.upf").write_text(upf())
    with pytest.raises(
        PseudopotentialError, match=r"Ti.upf has relativistic = scalar, and spin-orbit coupling needs full"
    ):
        find_pseudopotentials(["Ti"], xc="PBE", folder=folder, relativistic="full")
    (folder / "Ti.upf").write_text(upf(relativity='relativistic="full"'))
    assert find_pseudopotentials(["Ti"], xc="PBE", folder=folder, relativistic="full")["Ti"].relativistic == "full"


@pytest.mark.parametrize(
    ("functional", "made_with"),
    [
        ("PBESOL", "PBEsol"),
        ("SLA PW PSX PSC", "PBEsol"),
        (" SLA-PW-PSX-PSC", "PBEsol"),
        ("PZ", "LDA"),
        ("BLYP", "BLYP"),
    ],
)
def test_a_file_of_another_functional_is_refused(folder, functional, made_with):
    (folder / "Ti.upf").write_text(upf(functional=functional))
    with pytest.raises(
        PseudopotentialError,
        match=rf"Ti.upf is a pseudopotential of {made_with}, not of PBE; put one of PBE there, or unset",
    ):
        find_pseudopotentials(["Ti"], xc="PBE", folder=folder)


@pytest.mark.parametrize("functional", ["PBE", "pbe", " SLA  PW   PBX  PBC", "SLA+PW+PBX+PBC", "", "of my own"])
def test_the_functional_asked_for_and_unknown_spellings_are_accepted(folder, functional):
    (folder / "Ti.upf").write_text(upf(functional=functional))
    assert find_pseudopotentials(["Ti"], xc="PBE", folder=folder)["Ti"].functional == functional.strip()


def test_two_files_of_one_element_are_ambiguous(folder):
    for name in ("Ti.upf", "Ti_hard.upf"):
        (folder / name).write_text(upf())
    with pytest.raises(PseudopotentialError, match=r"2 pseudopotentials for Ti .*Ti.upf, Ti_hard.upf\); keep one"):
        find_pseudopotentials(["Ti"], xc="PBE", folder=folder)


def test_a_file_with_another_element_inside_is_refused(folder):
    (folder / "Ti.upf").write_text(upf("V"))
    with pytest.raises(PseudopotentialError, match=r"Ti.upf is a pseudopotential of V, not of Ti"):
        find_pseudopotentials(["Ti"], xc="PBE", folder=folder)


def test_a_missing_file_or_folder_names_the_remedy(folder):
    with pytest.raises(PseudopotentialError, match=r"no pseudopotential for La in .*; add a file such as La.upf"):
        find_pseudopotentials(["La"], xc="PBE", folder=folder)
    with pytest.raises(PseudopotentialError, match=r"folder .*gone does not exist; set ESPRESSO_PSEUDO"):
        find_pseudopotentials(["La"], xc="PBE", folder=folder / "gone")


def test_a_folder_of_links_counts_as_one_folder(folder, tmp_path):
    for element in ("Ti", "O"):
        (tmp_path / element).mkdir()
        (tmp_path / element / "abc.upf").write_text(upf(element))
        (folder / f"{element}.upf").symlink_to(tmp_path / element / "abc.upf")
    found = find_pseudopotentials(["Ti", "O"], xc="PBE", folder=folder)
    assert {p.path.parent for p in found.values()} == {folder}


def test_a_family_is_installed_from_its_archive_and_then_found(family, tmp_path):
    assert install_family(family, archive=tmp_path / "archive.zip") == ["Ti", "O"]
    assert family.folder == tmp_path / "data" / "heterodft" / "pseudopotentials" / "tiny"
    assert (family.folder / "NOTICE.txt").read_text() == "Cite the author.\n"
    found = find_pseudopotentials(["O", "Ti"], xc="PBE")
    assert [(p.element, p.valence, p.wavefunctions) for p in found.values()] == [("O", 6.0, 2), ("Ti", 12.0, 4)]
    assert found["Ti"].path == family.folder / "Ti.upf"
    assert (found["O"].suggested_cutoff, found["Ti"].suggested_cutoff) == (None, pytest.approx(84 * RYDBERG))
    assert (found["Ti"].functional, found["Ti"].relativistic) == ("PBE", "scalar")
    assert install_family(family, archive=tmp_path / "gone.zip") == []


def test_an_altered_file_is_detected_and_installed_again(family, tmp_path):
    install_family(family, archive=tmp_path / "archive.zip")
    with (family.folder / "Ti.upf").open("a") as stream:
        stream.write(" ")
    (family.folder / "O.upf").rename(family.folder / "O.bak")
    assert [family.state(element) for element in ("Ti", "O")] == ["altered", "missing"]
    (family.folder / "O.bak").rename(family.folder / "O.upf")
    with pytest.raises(PseudopotentialError, match=r"Ti.upf was altered: .*run: heterodft pseudos install tiny"):
        find_pseudopotentials(["Ti"], xc="PBE")
    assert install_family(family, archive=tmp_path / "archive.zip") == ["Ti"]
    assert find_pseudopotentials(["Ti"], xc="PBE")["Ti"].sha256 == digest(upf())


def test_what_is_not_installed_or_not_in_the_family_is_told(family):
    with pytest.raises(PseudopotentialError, match=r"Ti.upf is not installed; run: heterodft pseudos install tiny"):
        find_pseudopotentials(["Ti"], xc="PBE")
    with pytest.raises(PseudopotentialError, match="the family tiny has no pseudopotential for U"):
        find_pseudopotentials(["U"], xc="PBE")


def test_an_archive_with_another_file_inside_is_refused_and_the_file_not_written(family, tmp_path):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("inside/Ti.upf", upf(valence="4.0"))
        archive.writestr("inside/O.upf", upf("O", "6.0", 2))
    with pytest.raises(
        PseudopotentialError, match=r"bad.zip: Ti.upf has another checksum .*use the archive tiny==1.0"
    ):
        install_family(family, archive=tmp_path / "bad.zip")
    assert not (family.folder / "Ti.upf").exists()


def test_an_archive_that_lacks_files_or_is_none_is_told(family, tmp_path):
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    (tmp_path / "text.zip").write_text("no archive")
    for name in ("empty.zip", "text.zip", "gone.zip"):
        with pytest.raises(PseudopotentialError, match=rf"cannot read .*{name}: .*; use the archive tiny==1.0"):
            install_family(family, archive=tmp_path / name)


def test_a_folder_that_cannot_be_written_is_not_blamed_on_the_archive(family, tmp_path):
    (family.folder / "Ti.upf").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"cannot write .*Ti.upf"):
        install_family(family, archive=tmp_path / "archive.zip")


def test_a_download_that_fails_says_why_and_what_else_can_be_done(family, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", "noise\nERROR: no network\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(PseudopotentialError, match=r"cannot download tiny==1.0: ERROR: no network; .*--from FILE"):
        install_family(family)


def test_every_functional_has_two_families_with_whole_checksums():
    families = known_families()
    kinds = sorted((f.xc, f.relativistic) for f in families.values())
    assert kinds == [("PBE", "full"), ("PBE", "scalar"), ("PBEsol", "full"), ("PBEsol", "scalar")]
    for family in families.values():
        assert family_for(family.xc, family.relativistic) == family
        assert all(re.fullmatch("[0-9a-f]{64}", entry["sha256"]) for entry in family.files.values())
        valences = [family.files[e]["valence"] for e in ("Sr", "K", "Ti", "Al", "Ta", "O")]
        assert valences == [10, 9, 12, 3, 13, 6]
        cutoffs = [family.files[e]["cutoff"] for e in ("Sr", "Ti", "Al", "O", "Ni")]
        assert cutoffs == [68, 84, 40, 84, 98]
        assert all(20 <= entry["cutoff"] <= 200 for entry in family.files.values())
    assert "La" not in family_for("PBE", "full").files
    assert family_for("PBE").files["La"]["valence"] == family_for("PBEsol", "full").files["La"]["valence"] == 11


def test_an_unknown_functional_is_told():
    with pytest.raises(
        PseudopotentialError, match="no pseudopotential family for the functional PBESol; did you mean 'PBEsol'"
    ):
        family_for("PBESol")
    with pytest.raises(
        PseudopotentialError, match="no fully relativistic pseudopotential family for the functional X"
    ):
        family_for("X", "full")


def test_the_index_agrees_with_the_headers_of_the_installed_files():
    family = family_for("PBE")
    if not family.folder.is_dir():
        pytest.skip("the family is not installed; run: heterodft pseudos install")
    for element in ("Sr", "La", "Ti", "Al", "O"):
        entry = family.files[element]
        header = parse_upf_header((family.folder / entry["file"]).read_text())
        assert (header.element, header.valence, header.wavefunctions) == (
            element, entry["valence"], entry["wavefunctions"],
        )  # fmt: skip
