"""What is computed: materials, superlattices, defects and magnetic orders, as pymatgen structures."""

from heterodft.structures.defects import PointDefect, enumerate_defects, plane_formulas
from heterodft.structures.exchange import read_structure, to_ase, write_structure
from heterodft.structures.magnetic_interfaces import facing_moments
from heterodft.structures.magnetic_orders import ORDERS, BlockOrder, LayerOrder, Order, order_label
from heterodft.structures.matching import Match, MatchLimits, enumerate_matches
from heterodft.structures.materials import Material, build_material, read_material
from heterodft.structures.moments import Moments, StartingMoments, assign_moments, starting_moments
from heterodft.structures.order_enumeration import EnumeratedOrder, enumerate_orders
from heterodft.structures.report import StructureReport, describe
from heterodft.structures.superlattice import (
    Block,
    Interfaces,
    build_superlattice,
    enumerate_registries,
    layer_labels,
)
from heterodft.structures.surface_cells import SurfaceCell, cut_surface_cell
from heterodft.structures.tilts import Tilt, parse_tilt, tilt_octahedra

__all__ = [
    "ORDERS",
    "Block",
    "BlockOrder",
    "EnumeratedOrder",
    "Interfaces",
    "LayerOrder",
    "Match",
    "MatchLimits",
    "Material",
    "Moments",
    "Order",
    "PointDefect",
    "StartingMoments",
    "StructureReport",
    "SurfaceCell",
    "Tilt",
    "assign_moments",
    "build_material",
    "build_superlattice",
    "cut_surface_cell",
    "describe",
    "enumerate_defects",
    "enumerate_matches",
    "enumerate_orders",
    "enumerate_registries",
    "facing_moments",
    "layer_labels",
    "order_label",
    "parse_tilt",
    "plane_formulas",
    "read_material",
    "read_structure",
    "starting_moments",
    "tilt_octahedra",
    "to_ase",
    "write_structure",
]
