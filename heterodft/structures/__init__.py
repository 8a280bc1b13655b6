"""What is computed: materials, superlattices, defects and magnetic orders, as pymatgen structures."""

from heterodft.structures.defects import PointDefect, enumerate_defects, plane_formulas
from heterodft.structures.magnetic_orders import assign_moments
from heterodft.structures.materials import Material, build_material, read_material
from heterodft.structures.report import StructureReport, describe
from heterodft.structures.superlattice import Block, build_superlattice, layer_labels
from heterodft.structures.surface_cells import SurfaceCell, cut_surface_cell

__all__ = [
    "Block",
    "Material",
    "PointDefect",
    "StructureReport",
    "SurfaceCell",
    "assign_moments",
    "build_material",
    "build_superlattice",
    "cut_surface_cell",
    "describe",
    "enumerate_defects",
    "layer_labels",
    "plane_formulas",
    "read_material",
]
