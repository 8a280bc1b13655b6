"""VASP's POTCARs: found in the user's own library, their headers checked.

The library is where pymatgen has it: ``PMG_VASP_PSP_DIR`` of the environment or of ``~/.config/.pmgrc.yaml``;
else where ASE has it: ``VASP_PP_PATH``, its release by ``VASP_PP_VERSION``.
Without one, inputs are still written, with POTCAR.spec in place of POTCAR.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import re
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from heterodft.errors import PseudopotentialError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Potcar", "estimated_valence", "find_potcars", "potcar_library", "potcar_spec",
           "potcar_text"]  # fmt: skip

DEFAULT_FUNCTIONAL = "PBE_54"

_FOLDERS = {
    **{f"PBE{v}": (f"POT_GGA_PAW_PBE{v}", f"POTPAW_PBE{v}") for v in ("", "_52", "_54")},
    **{f"LDA{v}": (f"POT_LDA_PAW{v}", f"POTPAW_LDA{v}") for v in ("", "_52", "_54", "_64")},
    "PBE_64": ("POT_PAW_PBE_64",),
    "PW91": ("POT_GGA_PAW_PW91", "potpaw_GGA"),
}
"""The folder names of pymatgen; those of the distribution follow one rule."""
_FAMILY_OF = {"PE": "PBE", "CA": "LDA", "91": "PW91"}
_OPENERS: dict[str, Any] = {"": open, ".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_NO_SYMBOLS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Potcar:
    """The POTCAR of an element.

    Attributes
    ----------
    element, symbol
        The element and the name of the POTCAR, such as ``Ti_pv``.
    path
        Where it is; None when there is no library.
    titel
        The file's own title, such as ``PAW_PBE Ti_pv 07Sep2000``.
    valence
        Number of valence electrons: ZVAL of the file, or an estimate from the symbol when there is no file.
    enmax
        The cutoff the file asks for, in eV.
    functional
        What the file was made with: ``PBE``, ``LDA`` or ``PW91``.
    library
        Which release of the library, in pymatgen's spelling.
    """

    element: str
    symbol: str
    path: Path | None
    titel: str | None
    valence: float
    enmax: float | None
    functional: str | None = None
    library: str = DEFAULT_FUNCTIONAL

    @property
    def name(self) -> str:
        """Release and symbol, ``PBE_54 Ti_pv``."""
        return f"{self.library} {self.symbol}"

    @property
    def is_estimate(self) -> bool:
        """Whether the valence is taken from the symbol, for want of the file."""
        return self.path is None


def find_potcars(
    elements: Iterable[str],
    *,
    symbols: Mapping[str, str] = _NO_SYMBOLS,
    functional: str | None = None,
    xc: str | None = None,
) -> dict[str, Potcar]:
    """Find one POTCAR for each element.

    Parameters
    ----------
    elements
        Element symbols.
    symbols
        POTCAR by element, in place of pymatgen's choice.
    functional
        Release of the library, such as ``PBE_54``; by default ``PMG_DEFAULT_FUNCTIONAL``, and then ``PBE_54``.
    xc
        Functional to compute with, if it is to be checked: PBE and PBEsol take POTCARs of PBE.

    Raises
    ------
    PseudopotentialError
        If the library lacks one, or a file is not what its name says.
    """
    library, folder = potcar_library(functional)
    if library.split("_")[0] != "PBE" and xc in ("PBE", "PBEsol"):
        raise PseudopotentialError(
            f"POTCARs of {library} would turn {xc} into another functional; set PMG_DEFAULT_FUNCTIONAL to PBE_54"
        )
    return {e: _find(e, _symbol(e, symbols, library), library, folder) for e in sorted(set(elements))}


def potcar_text(potcars: Sequence[Potcar]) -> str:
    """Join POTCARs, one for each block of the POSCAR, in that order.

    Raises
    ------
    PseudopotentialError
        If one has no file.
    """
    paths = [potcar.path for potcar in potcars if potcar.path is not None]
    if len(paths) < len(potcars):
        absent = ", ".join(sorted({potcar.symbol for potcar in potcars if potcar.path is None}))
        raise PseudopotentialError(f"no POTCAR library for {absent}; set PMG_VASP_PSP_DIR to its folder")
    texts = [_text(path, path.stat().st_mtime_ns) for path in paths]
    return "".join(text if text.endswith("\n") else text + "\n" for text in texts)


def potcar_spec(potcars: Sequence[Potcar]) -> str:
    """Return POTCAR.spec as pymatgen writes it: a symbol a line, one for each block of the POSCAR."""
    return "".join(f"{potcar.symbol}\n" for potcar in potcars)


def _pymatgen_settings() -> dict[str, Any]:
    """Read pymatgen's settings anew, as its own are frozen at its first import."""
    own = Path(os.environ.get("PMG_CONFIG_FILE") or "~/.config/.pmgrc.yaml").expanduser()
    files = [path for path in (own, Path("~/.pmgrc.yaml").expanduser()) if path.is_file()]
    settings = dict(_yaml(files[0], files[0].stat().st_mtime_ns)) if files else {}
    for key in {"VASP_PSP_DIR", "DEFAULT_FUNCTIONAL"} & os.environ.keys():
        settings[f"PMG_{key}"] = os.environ[key]
    settings |= {key: value for key, value in os.environ.items() if key.startswith("PMG_")}
    if not settings.get("PMG_VASP_PSP_DIR") and os.environ.get("VASP_PP_PATH"):
        settings["PMG_VASP_PSP_DIR"] = os.environ["VASP_PP_PATH"]
        if os.environ.get("VASP_PP_VERSION"):
            settings.setdefault("PMG_DEFAULT_FUNCTIONAL", f"PBE_{os.environ['VASP_PP_VERSION']}")
    return settings


def potcar_library(functional: str | None = None) -> tuple[str, Path | None]:
    """Return the release of the library (that of `functional` if given) and its folder; None where none is set.

    Raises
    ------
    PseudopotentialError
        If the folder is not there or holds no such release.
    """
    settings = _pymatgen_settings()
    library = str(functional or settings.get("PMG_DEFAULT_FUNCTIONAL") or DEFAULT_FUNCTIONAL).removesuffix("_W_HASH")
    if library not in _FOLDERS:
        raise PseudopotentialError(f"unknown POTCAR functional '{library}'{did_you_mean(library, _FOLDERS)}")
    return library, _library_folder(library, settings)


@lru_cache(maxsize=8)
def _yaml(path: Path, _changed: int) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        data = YAML(typ="safe").load(path) or {}
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise PseudopotentialError(f"cannot read {path}: {' '.join(str(error).split())}; correct the file") from error
    if not isinstance(data, dict):
        raise PseudopotentialError(f"cannot read {path}: expected keys such as PMG_VASP_PSP_DIR; correct the file")
    return data


def _library_folder(library: str, settings: Mapping[str, Any]) -> Path | None:
    """Return the folder of a release; None when no library is set."""
    if not settings.get("PMG_VASP_PSP_DIR"):
        return None
    root = Path(os.path.expandvars(str(settings["PMG_VASP_PSP_DIR"]))).expanduser()
    if not root.is_dir():
        raise PseudopotentialError(
            f"POTCAR library {root} does not exist; correct PMG_VASP_PSP_DIR, or unset it to write POTCAR.spec"
        )
    family, _, version = library.partition("_")
    own = settings.get("PMG_VASP_PSP_SUB_DIRS")
    named = [str(own[library])] if isinstance(own, dict) and library in own else []
    versioned = [f"potpaw_{family}{joint}{version}" for joint in "._" if version]
    names = [*named, *_FOLDERS[library], *versioned, f"potpaw_{family}"]
    folders = [root / name for name in names if (root / name).is_dir()]
    if not folders and root.name not in names:
        raise PseudopotentialError(
            f"POTCAR library {root} has no folder for {library}: none of {', '.join(names)}; "
            "add one, or choose another with PMG_DEFAULT_FUNCTIONAL or PMG_VASP_PSP_SUB_DIRS"
        )
    return folders[0] if folders else root


def _symbol(element: str, symbols: Mapping[str, str], library: str) -> str:
    table = resources.files("pymatgen.io.vasp") / f"PBE{'64' if library.endswith('_64') else '54'}Base.yaml"
    symbol = symbols.get(element) or _yaml(Path(str(table)), 0)["POTCAR"].get(element)
    if symbol is None:
        raise PseudopotentialError(
            f"no default POTCAR for {element}; name one: method: potcars: {{{element}: {element}_sv}}"
        )
    if not re.fullmatch(rf"{element}(?![a-z])[\w.]*", symbol):
        raise PseudopotentialError(f"POTCAR '{symbol}' is not one of {element}; name one such as {element}_pv")
    return symbol


def _find(element: str, symbol: str, library: str, folder: Path | None) -> Potcar:
    if folder is None:
        return Potcar(element, symbol, None, None, estimated_valence(element, symbol), None, None, library)
    names = [name + end for name in (f"POTCAR.{symbol}", f"{symbol}/POTCAR") for end in (*_OPENERS, ".Z")]
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    if path is None:
        raise PseudopotentialError(
            f"POTCAR library {folder} has no {symbol}{did_you_mean(symbol, _available(element, folder))}; "
            "name another under method: potcars, or add it"
        )
    return _read(element, symbol, library, path.absolute(), path.stat().st_mtime_ns)


def _available(element: str, folder: Path) -> list[str]:
    pattern = re.compile(rf"(?:POTCAR\.)?({element}(?![a-z])[\w.]*?)(?:\.gz|\.bz2|\.xz|\.Z)?")
    return [match[1] for path in folder.iterdir() if (match := pattern.fullmatch(path.name))]


@lru_cache(maxsize=64)
def _text(path: Path, _changed: int) -> str:
    try:
        if path.suffix == ".Z":
            # Python has no reader of compress(1), which VASP's older archives are packed with.
            data = subprocess.run(["gzip", "-dc", str(path)], capture_output=True, check=True).stdout
        else:
            with _OPENERS.get(path.suffix, open)(path, "rb") as stream:
                data = stream.read()
    except (OSError, EOFError, lzma.LZMAError, subprocess.CalledProcessError) as error:
        raise PseudopotentialError(f"cannot read {path}: {error}; unpack it again from VASP's archive") from error
    return data.decode(errors="ignore")


# pymatgen's PotcarSingle parses the whole file and warns of every one that it has no record of.
_KEYS = ("TITEL", "LEXCH", "ZVAL", "ENMAX", "VRHFIN")
_HEADER = {key: re.compile(rf"(?:^|;)\s*{key}\s*=\s*([^;\n]+)", re.MULTILINE) for key in _KEYS}


@lru_cache(maxsize=256)
def _read(element: str, symbol: str, library: str, path: Path, changed: int) -> Potcar:
    text = _text(path, changed)
    titles = _HEADER["TITEL"].findall(text)
    if len(titles) > 1:
        raise PseudopotentialError(f"{path} holds {len(titles)} POTCARs; keep the one of {symbol}")
    values = {key: match[1].strip() for key, pattern in _HEADER.items() if (match := pattern.search(text))}
    try:
        titel, lexch, valence = values["TITEL"], values["LEXCH"].upper(), float(values["ZVAL"].split()[0])
        enmax = float(values["ENMAX"]) if "ENMAX" in values else None
    except (KeyError, ValueError) as error:
        raise PseudopotentialError(f"{path} is not a POTCAR: {error}; unpack it from VASP's archive") from error
    if _FAMILY_OF.get(lexch) != library.partition("_")[0]:
        raise PseudopotentialError(
            f"{path} is a POTCAR of another functional: {_FAMILY_OF.get(lexch, 'LEXCH = ' + lexch)}, not {library}; "
            "correct PMG_VASP_PSP_DIR or PMG_DEFAULT_FUNCTIONAL"
        )
    inside = values.get("VRHFIN", element).lstrip("=").split(":")[0].strip()
    if inside.capitalize() != element or not _names(titel, symbol, library):
        raise PseudopotentialError(f"{path} is the POTCAR '{titel}', not {symbol}; put {symbol} there")
    return Potcar(element, symbol, path, titel, valence, enmax, _FAMILY_OF[lexch], library)


def _names(titel: str, symbol: str, library: str) -> bool:
    """Whether a title is that of a symbol; a few published files carry another's, which pymatgen has on record."""
    if symbol in titel.split():
        return True
    path = resources.files("pymatgen.io.vasp") / "potcar-summary-stats.json.bz2"
    known = json.loads(bz2.decompress(path.read_bytes())).get(library, {}).get(titel.replace(" ", ""), [])
    return any(entry["symbol"] == symbol for entry in known)


def estimated_valence(element: str, symbol: str) -> float:
    """Return the number of valence electrons that the name of a POTCAR means.

    The group gives the outer shell; ``_sv`` adds s² p⁶ (s² in the second row), ``_pv`` p⁶, ``_d`` d¹⁰, and both of
    the former also the d¹⁰ of a p-block element below the third row. ``H.75`` and the like say it themselves.

    Raises
    ------
    PseudopotentialError
        If the element is unknown.
    """
    from pymatgen.core import Element

    try:
        atom = Element(element)
    except ValueError as error:
        raise PseudopotentialError(f"unknown element '{element}' of the POTCAR {symbol}; correct its name") from error
    fraction, *words = symbol.removeprefix(element).split("_")
    if re.fullmatch(r"\d*\.\d+", fraction):
        return float(fraction)
    if "AE" in words:
        return float(atom.Z)
    if atom.is_lanthanoid or atom.is_actinoid:
        return float(_f_block(atom.Z, words))
    in_p_block = atom.group >= 13
    shell = atom.Z if atom.Z <= 2 else atom.group - 10 * in_p_block
    d_shell = 10 if in_p_block and atom.row >= 4 else 0
    if "sv" in words:
        return float(shell + (2 if atom.row == 2 else 8 + d_shell))
    if "pv" in words:
        return float(shell + 6 + d_shell)
    return float(shell + (d_shell if "d" in words or (element in ("Ga", "Ge") and "h" in words) else 0))


def _f_block(number: int, words: Sequence[str]) -> int:
    """``_3`` and ``_2`` freeze f electrons in the core, and ``_3`` from Eu on 5s² too; plain ones keep them all."""
    if "3" in words:
        return 11 if number <= 62 else 9
    if "2" in words:
        return 8
    electrons = number - (46 if number < 89 else 78)
    return electrons - 2 if "s" in words and number in (57, 89, 90, 91) else electrons
