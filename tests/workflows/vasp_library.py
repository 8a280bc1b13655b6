"""A campaign for `fake_vasp.py`, and invented POTCARs in the place of those that need a licence."""

from __future__ import annotations

import os

VALENCES = {"La": 11.0, "Sr_sv": 10.0, "Fe_pv": 14.0, "O": 6.0}
CAMPAIGN = """\
name: v
code: vasp
materials:
  LaFeO3: {prototype: perovskite, a: 3.93}
  SrFeO3: {prototype: perovskite, a: 3.85}
structures:
  sl: {stack: [{material: LaFeO3, layers: 1}, {material: SrFeO3, layers: 1}], in_plane: 3.905}
magnetism: {orders: [AFM-A], moments: {Fe: 4.0}}
hubbard: {Fe-3d: {"LaFeO3:1": 4.0, rest: 2.0}}
method: {protocol: fast, cutoff: 300 eV, kspacing: 1.0, cell: fixed, force_tolerance: 2 meV/Å}
steps: [relax, static, {dos: {kspacing: 0.9}}]
"""


def potcar(symbol, valence):
    return (
        f"  PAW_PBE {symbol} 07Sep2000                 \n   {valence:.14f}     \n parameters from PSCTR are:\n"
        f"   VRHFIN ={symbol.split('_')[0]}: invented\n   LEXCH  = PE\n   EATOM  =  1.0000 eV,    0.1000 Ry\n\n"
        f"   TITEL  = PAW_PBE {symbol} 07Sep2000\n   LULTRA =        F    use ultrasoft PP ?\n"
        f"   POMASS =    1.000; ZVAL   = {valence:8.3f}    mass and valenz\n"
        "   ENMAX  =  280.000; ENMIN  =  210.000 eV\n   ICORE  =        2    local potential\n"
        "END of PSCTR-controll parameters\n local part\n   91.3863681\n  0.11725571E+02  0.11716586E+02\n"
        " End of Dataset\n"
    )


def write_library(tmp_path, monkeypatch):
    """Write a library of POTCARs and let it be found."""
    for symbol, valence in VALENCES.items():
        folder = tmp_path / "psp" / "potpaw_PBE.54" / symbol
        folder.mkdir(parents=True)
        (folder / "POTCAR").write_text(potcar(symbol, valence))
    for key in [key for key in os.environ if key.startswith(("PMG_", "VASP_"))]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(tmp_path / "psp"))
    monkeypatch.setattr("heterodft.workflows.custodians.watch._POLL_SECONDS", 0.02)
