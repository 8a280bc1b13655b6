"""POTCARs here hold invented headers only: real ones are licensed."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import re
import shutil
import subprocess
from importlib import resources

import pytest

from heterodft.errors import PseudopotentialError
from heterodft.templates.potcars import estimated_valence, find_potcars, potcar_spec, potcar_text

FOLDERS = ("POT_GGA_PAW_PBE_54", "POTPAW_PBE_54", "potpaw_PBE.54", "potpaw_PBE_54", "potpaw_PBE")


def header(symbol="Ti_pv", valence=10.0, *, lexch="PE", titel=None, element=None, enmax=222.335):
    element = element or symbol.split("_")[0]
    kind = "PAW" if lexch == "CA" else "PAW_PBE"
    return (
        f"  {kind} {symbol} 07Sep2000                 \n   {valence:.14f}     \n parameters from PSCTR are:\n"
        f"   VRHFIN ={element}: invented\n   LEXCH  = {lexch}\n   EATOM  =  1.0000 eV,    0.1000 Ry\n\n"
        f"   TITEL  = {titel or f'{kind} {symbol} 07Sep2000'}\n"
        "   LULTRA =        F    use ultrasoft PP ?\n"
        f"   POMASS =    1.000; ZVAL   = {valence:8.3f}    mass and valenz\n"
        f"   ENMAX  =  {enmax:.3f}; ENMIN  =  {enmax * 0.75:.3f} eV\n   ICORE  =        2    local potential\n"
        "END of PSCTR-controll parameters\n body\n End of Dataset\n"
    )


@pytest.fixture(autouse=True)
def no_library(tmp_path, monkeypatch):
    for key in [key for key in os.environ if key.startswith("PMG_") or key in ("VASP_PSP_DIR", "DEFAULT_FUNCTIONAL")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def library(tmp_path, monkeypatch):
    """An empty library as VASP's distribution unpacks it, known to the environment."""
    folder = tmp_path / "psp" / "potpaw_PBE.54"
    folder.mkdir(parents=True)
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(folder.parent))
    return folder


def put(folder, symbol="Ti_pv", text=None):
    (folder / symbol).mkdir()
    path = folder / symbol / "POTCAR"
    path.write_text(text or header(symbol))
    return path


def test_without_a_library_symbols_and_valences_are_known_and_no_file():
    found = find_potcars(["O", "Sr", "Ti", "Ti"], symbols={"Ti": "Ti_sv", "V": "V_pv"})
    assert [(p.element, p.symbol, p.valence) for p in found.values()] == [
        ("O", "O", 6.0), ("Sr", "Sr_sv", 10.0), ("Ti", "Ti_sv", 12.0),
    ]  # fmt: skip
    for potcar in found.values():
        assert potcar.is_estimate
        assert (potcar.path, potcar.titel, potcar.enmax, potcar.functional) == (None, None, None, None)
    assert found["Ti"].name == "PBE_54 Ti_sv"


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("spelling", ["{}/POTCAR", "POTCAR.{}"])
def test_both_spellings_of_the_library_are_read(tmp_path, monkeypatch, name, spelling):
    path = tmp_path / name / spelling.format("Ti_pv")
    path.parent.mkdir(parents=True)
    path.write_text(header())
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(tmp_path))
    potcar = find_potcars(["Ti"])["Ti"]
    assert (potcar.path, potcar.titel) == (path, "PAW_PBE Ti_pv 07Sep2000")
    assert (potcar.valence, potcar.enmax, potcar.functional) == (10.0, 222.335, "PBE")
    assert (potcar.is_estimate, potcar.name) == (False, "PBE_54 Ti_pv")


def test_the_variable_may_name_the_folder_of_the_release_itself(library, monkeypatch):
    path = put(library)
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(library))
    assert find_potcars(["Ti"])["Ti"].path == path


@pytest.mark.parametrize(("end", "packed"), [(".gz", gzip), (".bz2", bz2), (".xz", lzma)])
def test_compressed_potcars_are_read(library, end, packed):
    (library / f"POTCAR.Ti_pv{end}").write_bytes(packed.compress(header().encode()))
    potcars = find_potcars(["Ti"])
    assert potcars["Ti"].valence == 10.0
    assert potcar_text([potcars["Ti"]]) == header()


@pytest.mark.skipif(shutil.which("gzip") is None, reason="gzip reads what compress(1) wrote")
def test_potcars_of_compress_are_read(library):
    (library / "Ti_pv").mkdir()
    done = subprocess.run(["gzip", "-c"], input=header().encode(), capture_output=True, check=True)
    (library / "Ti_pv" / "POTCAR.Z").write_bytes(done.stdout)
    assert find_potcars(["Ti"])["Ti"].valence == 10.0


def test_links_to_folders_and_files_are_followed(tmp_path, monkeypatch):
    (tmp_path / "store").mkdir()
    real = put(tmp_path / "store")
    (tmp_path / "psp" / "real").mkdir(parents=True)
    (tmp_path / "psp" / "potpaw_PBE.54").symlink_to(tmp_path / "psp" / "real")
    (tmp_path / "psp" / "real" / "POTCAR.Ti_pv").symlink_to(real)
    (tmp_path / "link").symlink_to(tmp_path / "psp")
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(tmp_path / "link"))
    assert find_potcars(["Ti"])["Ti"].titel == "PAW_PBE Ti_pv 07Sep2000"


def test_a_potcar_of_another_functional_is_refused(library):
    path = put(library, text=header(lexch="CA"))
    with pytest.raises(
        PseudopotentialError, match=rf"{path} is a POTCAR of another functional: LDA, not PBE_54; corr"
    ):
        find_potcars(["Ti"])


def test_an_unknown_functional_inside_is_named(library):
    put(library, text=header(lexch="RP"))
    with pytest.raises(PseudopotentialError, match="of another functional: LEXCH = RP, not PBE_54"):
        find_potcars(["Ti"])


def test_potcars_of_the_lda_are_read_where_they_are_asked_for(library):
    (library.parent / "potpaw_LDA.54").mkdir()
    put(library.parent / "potpaw_LDA.54", text=header(lexch="CA"))
    potcar = find_potcars(["Ti"], functional="LDA_54")["Ti"]
    assert (potcar.functional, potcar.name) == ("LDA", "LDA_54 Ti_pv")


@pytest.mark.parametrize("text", [header("Ti"), header("Ti_pv", element="V"), header("Ti_pv", titel="PAW_PBE V_pv")])
def test_a_potcar_that_is_not_what_its_name_says_is_refused(library, text):
    put(library, text=text)
    with pytest.raises(PseudopotentialError, match=r"Ti_pv/POTCAR is the POTCAR 'PAW_PBE .*', not Ti_pv; put Ti_pv"):
        find_potcars(["Ti"])


def test_a_published_potcar_with_the_title_of_another_is_known(library):
    put(library, "Br_GW", header("Br", 7.0, titel="PAW_PBE Br 20Mar2012"))
    assert find_potcars(["Br"], symbols={"Br": "Br_GW"})["Br"].valence == 7.0


def test_a_file_of_two_potcars_is_refused(library):
    put(library, text=header() + header("O", 6.0))
    with pytest.raises(PseudopotentialError, match=r"POTCAR holds 2 POTCARs; keep the one of Ti_pv"):
        find_potcars(["Ti"])


def test_a_file_that_is_no_potcar_is_told(library):
    put(library, text="notes")
    with pytest.raises(PseudopotentialError, match=r"POTCAR is not a POTCAR: 'TITEL'; unpack it from VASP's archive"):
        find_potcars(["Ti"])


def test_a_damaged_file_is_told(library):
    (library / "POTCAR.Ti_pv.gz").write_bytes(b"no gzip")
    with pytest.raises(PseudopotentialError, match=r"cannot read .*POTCAR.Ti_pv.gz: .*; unpack it again"):
        find_potcars(["Ti"])


def test_a_symbol_that_the_library_lacks_is_told_with_the_nearest(library):
    put(library, "Ti_sv", header("Ti_sv", 12.0))
    (library / "POTCAR.Ti.gz").touch()
    (library / "Tl_pv").mkdir()
    with pytest.raises(
        PseudopotentialError, match=r"has no Ti_pv; did you mean 'Ti_sv'\?; name another under method"
    ):
        find_potcars(["Ti"])


def test_a_library_that_is_not_there_is_told(tmp_path, monkeypatch, library):
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(tmp_path / "gone"))
    with pytest.raises(PseudopotentialError, match=r"POTCAR library .*gone does not exist; correct PMG_VASP_PSP_DIR"):
        find_potcars(["Ti"])
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(library.parent))
    with pytest.raises(
        PseudopotentialError, match=r"has no folder for LDA_54: none of POT_LDA_PAW_54, .*potpaw_LDA;"
    ):
        find_potcars(["Ti"], functional="LDA_54")


def test_the_settings_of_pymatgen_are_honoured_and_the_environment_first(tmp_path, library, monkeypatch):
    path = put(library)
    monkeypatch.delenv("PMG_VASP_PSP_DIR")
    (tmp_path / "home" / ".config").mkdir(parents=True)
    config = tmp_path / "home" / ".config" / ".pmgrc.yaml"
    config.write_text(f"PMG_VASP_PSP_DIR: {library.parent}\nPMG_DEFAULT_FUNCTIONAL: PBE_52\n")
    assert find_potcars(["Ti"], functional="PBE_54")["Ti"].path == path
    monkeypatch.setenv("PMG_DEFAULT_FUNCTIONAL", "PBE_54_W_HASH")
    assert find_potcars(["Ti"])["Ti"].name == "PBE_54 Ti_pv"
    config.write_text(f"PMG_VASP_PSP_DIR: {tmp_path}\nPMG_VASP_PSP_SUB_DIRS: {{PBE_54: psp/potpaw_PBE.54}}\n")
    os.utime(config, ns=(1, 1))
    assert find_potcars(["Ti"])["Ti"].path == path
    config.write_text("PMG_VASP_PSP_DIR: [")
    os.utime(config, ns=(2, 2))
    with pytest.raises(PseudopotentialError, match=r"cannot read .*pmgrc.yaml: .*; correct the file"):
        find_potcars(["Ti"])


def test_an_older_place_of_the_settings_is_read(tmp_path, library, monkeypatch):
    path = put(library)
    monkeypatch.delenv("PMG_VASP_PSP_DIR")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".pmgrc.yaml").write_text(f"PMG_VASP_PSP_DIR: {library.parent}\n")
    assert find_potcars(["Ti"])["Ti"].path == path


def test_words_that_mean_nothing_are_told():
    with pytest.raises(PseudopotentialError, match="unknown POTCAR functional 'PBE54'; did you mean 'PBE_54'"):
        find_potcars(["Ti"], functional="PBE54")
    for symbol in ("V_pv", "Tl", "Ti/../O"):
        with pytest.raises(PseudopotentialError, match=f"POTCAR '{symbol}' is not one of Ti; name one such as Ti_pv"):
            find_potcars(["Ti"], symbols={"Ti": symbol})
    with pytest.raises(PseudopotentialError, match=r"no default POTCAR for Es; name one: method: potcars: \{Es:"):
        find_potcars(["Es"])
    with pytest.raises(PseudopotentialError, match="unknown element 'Xx' of the POTCAR Xx_pv"):
        find_potcars(["Xx"], symbols={"Xx": "Xx_pv"})


def test_a_changed_file_is_read_again(library):
    path = put(library)
    assert find_potcars(["Ti"])["Ti"].valence == 10.0
    path.write_text(header(valence=4.0))
    os.utime(path, ns=(1, 1))
    assert find_potcars(["Ti"])["Ti"].valence == 4.0


def test_blocks_repeat_their_potcar_in_order(library):
    put(library)
    put(library, "O", header("O", 6.0).rstrip("\n"))
    found = find_potcars(["Ti", "O"])
    blocks = [found[element] for element in ("Ti", "O", "Ti")]
    assert re.findall(r"TITEL  = \S+ (\S+)", potcar_text(blocks)) == ["Ti_pv", "O", "Ti_pv"]
    assert potcar_text(blocks) == header() + header("O", 6.0) + header()
    assert potcar_spec(blocks) == "Ti_pv\nO\nTi_pv\n"


def test_no_text_comes_without_a_library():
    found = find_potcars(["Ti", "O"])
    assert potcar_spec([found["O"], found["Ti"]]) == "O\nTi_pv\n"
    with pytest.raises(PseudopotentialError, match="no POTCAR library for O, Ti_pv; set PMG_VASP_PSP_DIR"):
        potcar_text(list(found.values()))


KNOWN = {
    "O": 6, "N": 5, "Al": 3, "Ti_pv": 10, "Sr_sv": 10, "La": 11, "K_sv": 9, "Ta_pv": 11, "Ca_sv": 10, "Zr_sv": 12,
    "Cr_pv": 12, "Ru_pv": 14, "Ni_pv": 16, "Fe_pv": 14, "Mn_pv": 13, "Co": 9, "V_pv": 11, "Ba_sv": 10, "Mg_pv": 8,
    "Ga_d": 13, "Zn": 12, "Nb_pv": 11, "W_pv": 12, "W_sv": 14, "Y_sv": 11, "Bi": 5, "Pb_d": 14, "Li_sv": 3,
    "Na_pv": 7, "H": 1, "He": 2, "H.75": 0.75, "Sm_3": 11, "Yb_3": 9, "Eu_2": 8, "Ce": 12, "O_GW": 6, "Li_AE_GW": 3,
}  # fmt: skip


@pytest.mark.parametrize(("symbol", "valence"), KNOWN.items())
def test_valences_follow_from_the_symbols(symbol, valence):
    assert estimated_valence(re.match("[A-Z][a-z]?", symbol)[0], symbol) == valence


@pytest.mark.parametrize("release", ["PBE_52", "PBE_54", "PBE_64", "LDA_54", "LDA_64"])
def test_valences_agree_with_every_published_potcar(release):
    path = resources.files("pymatgen.io.vasp") / "potcar-summary-stats.json.bz2"
    entries = json.loads(bz2.decompress(path.read_bytes()))[release].values()
    published = {entry["symbol"]: entry["ZVAL"] for variants in entries for entry in variants}
    wrong = {s for s, v in published.items() if estimated_valence(re.match("[A-Z][a-z]?", s)[0], s) != v}
    assert wrong <= {"Tl_d_GW", "Pb_d_GW", "Bi_d_GW", "Po_d_GW"}, "which count two electrons more since 5.4"
