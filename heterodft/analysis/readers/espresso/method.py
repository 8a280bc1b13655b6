"""How pw.x computed: functional, cutoffs, k-points, smearing, U; from its XML file and from what it prints."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from heterodft.units import HARTREE, RYDBERG

__all__ = ["is_noncollinear", "method_of_text", "method_of_xml"]

_FLOAT = r"[-+]?\d*\.?\d+(?:[EeDd][-+]?\d+)?"
_K_COUNT = re.compile(r"number of k points=\s*(\d+)")
_CUTOFFS = (
    ("cutoff", re.compile(rf"kinetic-energy cutoff\s+=\s+({_FLOAT})\s+Ry")),
    ("density_cutoff", re.compile(rf"charge density cutoff\s+=\s+({_FLOAT})\s+Ry")),
)
_XC = re.compile(r"Exchange-correlation\s*=\s*(.+?)\s*(?:\(|\n)")
_SMEARING = re.compile(rf"number of k points=\s*\d+\s+(.+?) smearing, width \(Ry\)=\s*({_FLOAT})")
_XML_NAMES = {"marzari-vanderbilt": "mv", "fermi-dirac": "fd", "methfessel-paxton": "mp"}
_OLD_U_ROW = re.compile(rf"^\s+(\S+)\s+\d\s+({_FLOAT})\s", re.M)
_OLD_U = re.compile(rf"Simplified (?:LDA|DFT)\+U calculation.*\n[^\n]*\n((?:\s+\S+\s+\d\s+{_FLOAT}[^\n]*\n)+)")
_NEW_U = re.compile(rf"^\s+U\((\w+)-\d\w\)\s*=\s*({_FLOAT})", re.M)


def method_of_xml(root: Any, output: Any) -> dict[str, Any]:
    """Return `Result.method` of the root and the output node of the XML file."""
    basis, bands = output.find("basis_set"), output.find("band_structure")
    smearing = bands.find("smearing")
    method: dict[str, Any] = {
        "xc": (output.findtext("dft/functional") or "").strip() or None,
        "cutoff": _hartree(basis, "ecutwfc"),
        "density_cutoff": _hartree(basis, "ecutrho"),
        "smearing": bands.findtext("occupations_kind") if smearing is None else smearing.text.strip(),
        "smearing_width": None if smearing is None else float(smearing.get("degauss")) * HARTREE,
        "hubbard": _hubbard_of_xml(root.find("input/dft/dftU"), output.find("dft/dftU")),
        "pseudopotentials": {
            node.get("name"): node.findtext("pseudo_file").strip()
            for node in output.findall("atomic_species/species")
        },
        "charge": float(root.findtext("input/bands/tot_charge", "0")),
        "noncollinear": output.findtext("magnetization/noncolin").strip() == "true",
        "spin_orbit": output.findtext("magnetization/spinorbit").strip() == "true",
    }
    return {name: value for name, value in method.items() if value is not None} | _read_mesh(bands)


def _hartree(node: Any, name: str) -> float | None:
    text = None if node is None else node.findtext(name)
    return None if text is None else float(text) * HARTREE


def _read_mesh(bands: Any) -> dict[str, Any]:
    mesh = bands.find("starting_k_points/monkhorst_pack")
    if mesh is None:
        return {"kpoints": len(bands.findall("ks_energies"))}
    found: dict[str, Any] = {"kpoints": [int(mesh.get(f"nk{i}")) for i in (1, 2, 3)]}
    shift = [int(mesh.get(f"k{i}")) for i in (1, 2, 3)]
    return found | ({"kpoints_shift": shift} if any(shift) else {})


def _hubbard_of_xml(asked: Any, used: Any) -> dict[str, float] | None:
    """Return U (eV) by kind.

    Up to 7.0 the input part of the file holds eV and the output part Rydberg or Hartree; later both hold Hartree.
    Their ratio tells which.
    """
    values = _hubbard_of(used)
    inputs = _hubbard_of(asked)
    found = {}
    for kind, value in values.items():
        ratio = inputs.get(kind, value) / value
        if any(np.isclose(ratio, unit, rtol=1e-4) for unit in (HARTREE, RYDBERG)):
            found[kind] = inputs[kind]
        elif np.isclose(ratio, 1.0, rtol=1e-4):
            found[kind] = value * HARTREE
    return {kind: round(value, 6) for kind, value in found.items()} or None


def _hubbard_of(node: Any) -> dict[str, float]:
    found = [] if node is None else node.findall("Hubbard_U")
    kept = {u.get("specie"): float(u.text) for u in found if u.get("label") != "no Hubbard"}
    return {kind: value for kind, value in kept.items() if value}


def method_of_text(text: str) -> dict[str, Any]:
    """Return `Result.method` as far as pw.x prints it."""
    start = text.find("iteration #")
    text = text[:start] if start > 0 else text
    method: dict[str, Any] = {}
    for name, pattern in _CUTOFFS:
        value = _number(pattern, text)
        if value is not None:
            method[name] = value * RYDBERG
    xc, count, smearing = _XC.search(text), _number(_K_COUNT, text), _SMEARING.search(text)
    method |= {"xc": xc[1]} if xc else {}
    method |= {"kpoints": int(count)} if count else {}
    if smearing:
        name = smearing[1].strip().lower()
        method |= {"smearing": _XML_NAMES.get(name, name), "smearing_width": _float(smearing[2]) * RYDBERG}
    hubbard = _hubbard_of_text(text)
    method |= {"hubbard": hubbard} if hubbard else {}
    return method | {"noncollinear": is_noncollinear(text), "spin_orbit": "with spin-orbit" in text}


def is_noncollinear(text: str) -> bool:
    """Tell whether the wavefunctions of a run are spinors."""
    return "Noncollinear calculation" in text or "Non magnetic calculation with spin-orbit" in text


def _hubbard_of_text(text: str) -> dict[str, float]:
    found = {kind: _float(value) for kind, value in _NEW_U.findall(text)}
    table = _OLD_U.search(text)
    if table:
        found = {kind: _float(value) for kind, value in _OLD_U_ROW.findall(table[1])}
    return {kind: value for kind, value in found.items() if value}


def _number(pattern: re.Pattern[str], text: str) -> float | None:
    found = pattern.search(text)
    return _float(found[1]) if found else None


def _float(word: str) -> float:
    return float(word.upper().replace("D", "E"))
