"""Lattice constants of common end members, each with its source; Å, at room temperature unless said otherwise.

For perovskites that are not cubic, and for MnN, a is the cube root of the volume of a formula unit. Compared with
crystal databases: all but YAlO3, SrIrO3, SrMnO3, LaCoO3, NiO, TiN, VN, MnN and FeN, which rest on citations alone.
LSAT is a solid solution: it sets an in-plane lattice but has no cell to build.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["REFERENCES", "Reference"]


@dataclass(frozen=True)
class Reference:
    """Prototype, lattice constants (Å) with internal parameters, and where they come from."""

    prototype: str
    constants: dict[str, float]
    source: str


def _perovskite(a: float, source: str) -> Reference:
    return Reference("perovskite", {"a": a}, source)


def _rocksalt(a: float, source: str) -> Reference:
    return Reference("rocksalt", {"a": a}, source)


REFERENCES: dict[str, Reference] = {
    "SrTiO3": _perovskite(3.905, "cubic; Okazaki & Kawaminami, Mater. Res. Bull. 8, 545 (1973)"),
    "KTaO3": _perovskite(3.989, "cubic; as in superlattices, Nano Lett. 24, 7134 (2024)"),
    "LaAlO3": _perovskite(3.790, "pseudo-cubic; Hayward et al., Phys. Rev. B 72, 054110 (2005)"),
    "YAlO3": _perovskite(3.706, "orthorhombic; Diehl & Brandt, Mater. Res. Bull. 10, 85 (1975)"),
    "CaZrO3": _perovskite(4.012, "orthorhombic, pseudo-cubic as in films on KTaO3, 0.58 % misfit"),
    "CaRuO3": _perovskite(3.850, "orthorhombic, pseudo-cubic as in superlattices on LSAT; 10.1021/acsnano.4c01910"),
    "LaNiO3": _perovskite(3.840, "rhombohedral, pseudo-cubic as in superlattices on LSAT; 10.1021/acsnano.4c01910"),
    "LaMnO3": _perovskite(3.941, "orthorhombic; Rodríguez-Carvajal et al., Phys. Rev. B 57, R3189 (1998)"),
    "SrMnO3": _perovskite(3.805, "cubic; Chmaissem et al., Phys. Rev. B 64, 134412 (2001)"),
    "CaMnO3": _perovskite(3.726, "orthorhombic; Poeppelmeier et al., J. Solid State Chem. 45, 71 (1982)"),
    "SrRuO3": _perovskite(3.923, "orthorhombic; Jones et al., Acta Cryst. C 45, 365 (1989)"),
    "SrIrO3": _perovskite(3.950, "orthorhombic; Longo et al., J. Solid State Chem. 3, 174 (1971)"),
    "LaCoO3": _perovskite(3.826, "rhombohedral; Radaelli & Cheong, Phys. Rev. B 66, 094408 (2002)"),
    "NdNiO3": _perovskite(3.807, "orthorhombic; García-Muñoz et al., Phys. Rev. B 46, 4414 (1992)"),
    "BiFeO3": _perovskite(3.964, "rhombohedral; Kubel & Schmid, Acta Cryst. B 46, 698 (1990)"),
    "MgO": _rocksalt(4.211, "Hazen, Am. Mineral. 61, 266 (1976)"),
    "NiO": _rocksalt(4.177, "paramagnetic cell; Bartel & Morosin, Phys. Rev. B 3, 1039 (1971)"),
    "CrN": _rocksalt(4.149, "paramagnetic cell; Corliss et al., Phys. Rev. 117, 929 (1960)"),
    "TiN": _rocksalt(4.242, "Toth, Transition Metal Carbides and Nitrides, Academic Press (1971)"),
    "VN": _rocksalt(4.139, "Toth, Transition Metal Carbides and Nitrides, Academic Press (1971)"),
    "MnN": _rocksalt(4.234, "tetragonal (θ), nearly rocksalt; Suzuki et al., J. Alloys Compd. 306, 66 (2000)"),
    "FeN": Reference("zincblende", {"a": 4.307}, "γ''; Suzuki et al., J. Alloys Compd. 201, 11 (1993)"),
    "LSAT": _perovskite(3.868, "(LaAlO3)0.3(Sr2TaAlO6)0.7; Chakoumakos et al., J. Mater. Res. 18, 1698 (2003)"),
    "Cr2O3": Reference(
        "corundum",
        {"a": 4.961, "c": 13.599, "z_cation": 0.3475, "x_anion": 0.3058},
        "Newnham & de Haan, Z. Kristallogr. 117, 235 (1962)",
    ),
    "Al2O3": Reference(
        "corundum",
        {"a": 4.759, "c": 12.991, "z_cation": 0.3522, "x_anion": 0.3063},
        "Newnham & de Haan, Z. Kristallogr. 117, 235 (1962)",
    ),
}
