"""What came out: readers into one Result, and what it says layer by layer.

>>> from heterodft.analysis import LayerMoments, read_folder  # doctest: +SKIP
>>> result = read_folder("runs/demo/sl/FM/U0/static")  # doctest: +SKIP
>>> moments = LayerMoments.from_result(result)  # doctest: +SKIP
>>> moments.to_frame(), moments.plot()  # doctest: +SKIP

Each quantity has ``from_result``, ``read``, ``to_frame``, ``to_dict`` and ``plot``. Modules are imported when a name
is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from heterodft.analysis.exchange_formats import to_ase, to_pymatgen_bands, to_pymatgen_dos
    from heterodft.analysis.gaps import find_gap
    from heterodft.analysis.grids import VolumeGrid
    from heterodft.analysis.layers import find_layering
    from heterodft.analysis.overview import FolderOverview
    from heterodft.analysis.pdos import LayerDos
    from heterodft.analysis.plots.save import save_figure
    from heterodft.analysis.readers import read_folder
    from heterodft.analysis.result import Result

_MODULES = {
    "BandEdges": "band_edges",
    "ConfigurationEnergies": "energies",
    "DefectNeighbours": "local",
    "FolderOverview": "overview",
    "LayerBands": "bands",
    "LayerCharges": "charges",
    "LayerDos": "pdos",
    "LayerMoments": "moments",
    "OrbitalPolarization": "orbitals",
    "PlanarAverage": "potentials",
    "Result": "result",
    "SheetCarriers": "carriers",
    "SlabIntegrals": "densities",
    "StructureProfile": "structure",
    "VolumeGrid": "grids",
    "find_gap": "gaps",
    "find_layering": "layers",
    "read_folder": "readers",
    "save_figure": "plots.save",
    "to_ase": "exchange_formats",
    "to_pymatgen_bands": "exchange_formats",
    "to_pymatgen_dos": "exchange_formats",
}

__all__ = [
    "BandEdges",
    "ConfigurationEnergies",
    "DefectNeighbours",
    "FolderOverview",
    "LayerBands",
    "LayerCharges",
    "LayerDos",
    "LayerMoments",
    "OrbitalPolarization",
    "PlanarAverage",
    "Result",
    "SheetCarriers",
    "SlabIntegrals",
    "StructureProfile",
    "VolumeGrid",
    "find_gap",
    "find_layering",
    "read_folder",
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
