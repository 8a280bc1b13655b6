"""What came out: readers into one Result, and what it says layer by layer.

Each quantity has ``from_result``, ``read``, ``to_frame``, ``to_dict`` and ``plot``. Modules are imported when a name
is first used.

Examples
--------
>>> from heterodft.analysis import LayerMoments, read_folder  # doctest: +SKIP
>>> result = read_folder("runs/demo/sl/FM/U0/static")  # doctest: +SKIP
>>> moments = LayerMoments.from_result(result)  # doctest: +SKIP
>>> moments.to_frame(), moments.plot()  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from heterodft.analysis.against_u import AgainstHubbard
    from heterodft.analysis.band_edges import BandEdges
    from heterodft.analysis.bands import LayerBands
    from heterodft.analysis.carriers import SheetCarriers
    from heterodft.analysis.charges import LayerCharges
    from heterodft.analysis.densities import SlabIntegrals
    from heterodft.analysis.energies import ConfigurationEnergies
    from heterodft.analysis.energies.chemical_potentials import ChemicalPotentials
    from heterodft.analysis.energies.comparability import compare
    from heterodft.analysis.energies.defects import DefectFormation
    from heterodft.analysis.energies.exchange_constants import ExchangeConstants
    from heterodft.analysis.energies.formation import SuperlatticeFormation
    from heterodft.analysis.energies.segregation import SegregationEnergies
    from heterodft.analysis.exchange_formats import to_ase, to_pymatgen_bands, to_pymatgen_dos
    from heterodft.analysis.gaps import Gap, find_gap
    from heterodft.analysis.grids import VolumeGrid
    from heterodft.analysis.grids.shells import DefectShells
    from heterodft.analysis.grids.slices import DensitySlice
    from heterodft.analysis.hubbard_scan import HubbardScan
    from heterodft.analysis.layers import find_layering
    from heterodft.analysis.linear_response import LinearResponse
    from heterodft.analysis.local import DefectNeighbours
    from heterodft.analysis.moments import LayerMoments
    from heterodft.analysis.occupations import SiteOccupations
    from heterodft.analysis.orbitals import OrbitalPolarization
    from heterodft.analysis.overview import FolderOverview
    from heterodft.analysis.pdos import LayerDos
    from heterodft.analysis.plots.save import save_figure
    from heterodft.analysis.potentials import PlanarAverage
    from heterodft.analysis.readers import read_folder
    from heterodft.analysis.readers.grid_files import read_grids
    from heterodft.analysis.response import ResponseU
    from heterodft.analysis.result import HubbardOccupations, Result
    from heterodft.analysis.starts import Starts
    from heterodft.analysis.stoner import StonerProduct
    from heterodft.analysis.structure import StructureProfile

_MODULES = {
    "AgainstHubbard": "against_u",
    "BandEdges": "band_edges",
    "ChemicalPotentials": "energies.chemical_potentials",
    "ConfigurationEnergies": "energies",
    "Convergence": "convergence",
    "DefectFormation": "energies.defects",
    "DefectNeighbours": "local",
    "DefectShells": "grids.shells",
    "DensitySlice": "grids.slices",
    "ExchangeConstants": "energies.exchange_constants",
    "FolderOverview": "overview",
    "Gap": "gaps",
    "HubbardOccupations": "result",
    "HubbardScan": "hubbard_scan",
    "LayerBands": "bands",
    "LayerCharges": "charges",
    "LayerDos": "pdos",
    "LayerMoments": "moments",
    "LinearResponse": "linear_response",
    "OrbitalPolarization": "orbitals",
    "PlanarAverage": "potentials",
    "ResponseU": "response",
    "Result": "result",
    "SegregationEnergies": "energies.segregation",
    "SheetCarriers": "carriers",
    "SiteOccupations": "occupations",
    "SlabIntegrals": "densities",
    "Starts": "starts",
    "StonerProduct": "stoner",
    "StructureProfile": "structure",
    "SuperlatticeFormation": "energies.formation",
    "VolumeGrid": "grids",
    "compare": "energies.comparability",
    "find_gap": "gaps",
    "find_layering": "layers",
    "read_folder": "readers",
    "read_grids": "readers.grid_files",
    "save_figure": "plots.save",
    "to_ase": "exchange_formats",
    "to_pymatgen_bands": "exchange_formats",
    "to_pymatgen_dos": "exchange_formats",
}

__all__ = [
    "AgainstHubbard",
    "BandEdges",
    "ChemicalPotentials",
    "ConfigurationEnergies",
    "Convergence",
    "DefectFormation",
    "DefectNeighbours",
    "DefectShells",
    "DensitySlice",
    "ExchangeConstants",
    "FolderOverview",
    "Gap",
    "HubbardOccupations",
    "HubbardScan",
    "LayerBands",
    "LayerCharges",
    "LayerDos",
    "LayerMoments",
    "LinearResponse",
    "OrbitalPolarization",
    "PlanarAverage",
    "ResponseU",
    "Result",
    "SegregationEnergies",
    "SheetCarriers",
    "SiteOccupations",
    "SlabIntegrals",
    "Starts",
    "StonerProduct",
    "StructureProfile",
    "SuperlatticeFormation",
    "VolumeGrid",
    "compare",
    "find_gap",
    "find_layering",
    "read_folder",
    "read_grids",
    "save_figure",
    "to_ase",
    "to_pymatgen_bands",
    "to_pymatgen_dos",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'heterodft.analysis' has no attribute '{name}'")
    return getattr(import_module(f"heterodft.analysis.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
