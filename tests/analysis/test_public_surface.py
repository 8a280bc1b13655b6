from __future__ import annotations

import subprocess
import sys

import pytest

from heterodft import analysis

NAMES = [
    "AgainstHubbard", "BandEdges", "ChemicalPotentials", "ConfigurationEnergies", "Convergence",
    "DefectFormation", "DefectNeighbours", "DefectShells", "DensitySlice", "ExchangeConstants",
    "FolderOverview", "Gap", "HubbardOccupations", "HubbardScan", "LayerBands", "LayerCharges", "LayerDos",
    "LayerMoments", "LinearResponse", "OrbitalPolarization", "PlanarAverage", "ResponseU", "Result",
    "SegregationEnergies", "SheetCarriers", "SiteOccupations", "SlabIntegrals", "Starts", "StonerProduct",
    "StructureProfile", "SuperlatticeFormation", "VolumeGrid", "compare", "find_gap", "find_layering",
    "read_folder", "read_grids", "save_figure", "to_ase", "to_pymatgen_bands", "to_pymatgen_dos",
]  # fmt: skip


def test_the_public_surface_is_this():
    assert analysis.__all__ == NAMES
    assert set(NAMES) <= set(dir(analysis))


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_there(name):
    assert getattr(analysis, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'LayerMoment'"):
        analysis.LayerMoment  # noqa: B018


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, heterodft.analysis\n"
        "print([name for name in ('numpy', 'pymatgen', 'matplotlib', 'pandas', 'ase') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_reading_and_resolving_does_not_import_matplotlib():
    code = (
        "import sys\nfrom heterodft.analysis import FolderOverview, read_folder, find_layering\n"
        "print([name for name in ('matplotlib', 'ase') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
