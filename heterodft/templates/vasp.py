"""Input files of VASP: INCAR, KPOINTS, POSCAR, POTCAR; the order of sites is remembered beside them.

VASP carries U by block of the POSCAR, and blocks may repeat an element, as may the POTCARs: atoms of one element with
two U are two blocks.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from heterodft.errors import InputError
from heterodft.structures import layer_labels
from heterodft.templates.incar import LATTICE_CONSTRAINTS_VERSION, incar_text, write_incar
from heterodft.templates.incar_magnetism import site_order
from heterodft.templates.potcars import potcar_spec, potcar_text
from heterodft.templates.setup import Deck, Entry, mesh_entry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from heterodft.templates.potcars import Potcar
    from heterodft.templates.setup import Setup

__all__ = ["SITE_ORDER_FILE", "write_vasp"]

SITE_ORDER_FILE = "site_order.json"
"""``{"order": […]}``: the builder's index of each site of the POSCAR."""


def write_vasp(setup: Setup, potcars: Mapping[str, Potcar], *, version: tuple[int, int] | None = None) -> Deck:
    """Return every input file of a step.

    Parameters
    ----------
    setup
        What is asked for.
    potcars
        One for each element; without their files POTCAR.spec names them instead.
    version
        Of VASP, where it is known.

    Raises
    ------
    InputError
        If VASP would refuse or silently drop something.
    """
    notes: list[str] = []
    section = write_incar(setup, potcars, notes)
    if "LATTICE_CONSTRAINTS" in section:
        notes += _constraints(version)
    chosen = [potcars[block.element] for block in setup.blocks]
    whole = all(potcar.path is not None for potcar in chosen)
    files = {
        "INCAR": incar_text(section),
        "KPOINTS": _kpoints(setup),
        "POSCAR": _poscar(setup),
        **({"POTCAR": potcar_text(chosen)} if whole else {"POTCAR.spec": potcar_spec(chosen)}),
        SITE_ORDER_FILE: json.dumps({"order": site_order(setup)}) + "\n",
    }
    entries = [Entry("INCAR", "", key, value.value, value.origin) for key, value in section.items()]
    entries += _other_entries(setup, chosen)
    return Deck(files, tuple(entries), (*notes, *_cutoff_note(setup, potcars)))


def _constraints(version: tuple[int, int] | None) -> list[str]:
    needed = ".".join(map(str, LATTICE_CONSTRAINTS_VERSION))
    if version is not None and version < LATTICE_CONSTRAINTS_VERSION:
        raise InputError(
            f"method: cell: c: VASP {version[0]}.{version[1]} ignores LATTICE_CONSTRAINTS and would change a and b "
            f"too; use {needed} or later, or cell: fixed"
        )
    if version is None:
        return [f"VASP keeps a and b by LATTICE_CONSTRAINTS, from version {needed} on; an older one changes them too"]
    return []


def _cutoff_note(setup: Setup, potcars: Mapping[str, Potcar]) -> list[str]:
    known = [potcar for potcar in potcars.values() if potcar.enmax is not None]
    hardest = max(known, key=lambda potcar: potcar.enmax or 0.0, default=None)
    if hardest is None or hardest.enmax is None or setup.settings.cutoff >= hardest.enmax - 1e-6:
        return []
    return [f"a cutoff of {setup.settings.cutoff:g} eV is below the ENMAX of {hardest.symbol}, {hardest.enmax:g} eV"]


def _kpoints(setup: Setup) -> str:
    """An explicit list, or a mesh with Gamma on it unless shifted by half a division."""
    settings = setup.settings
    if settings.path is not None:
        labels = dict(settings.path.labels)
        rows = [
            f"{x:14.10f} {y:14.10f} {z:14.10f} 1 {labels.get(index, '')}".rstrip()
            for index, (x, y, z) in enumerate(settings.path.kpoints)
        ]
        return "\n".join(["band structure", str(len(rows)), "Reciprocal", *rows, ""])
    shift = " ".join(f"{s / 2:g}" for s in settings.shift)
    return f"mesh\n0\nGamma\n{' '.join(map(str, settings.kpoints))}\n{shift}\n"


def _poscar(setup: Setup) -> str:
    """The sites block by block; behind each its element and layer, which VASP does not read."""
    structure = setup.structure
    labelled = "layer" in structure.site_properties
    labels = layer_labels(structure) if labelled else [""] * len(structure)
    cell = ["  ".join(f"{x + 0.0:16.10f}" for x in vector) for vector in structure.lattice.matrix]
    positions = structure.frac_coords.tolist()
    rows = []
    for index in site_order(setup):
        x, y, z = positions[index]
        rows.append(
            f"{x + 0.0:14.10f}  {y + 0.0:14.10f}  {z + 0.0:14.10f} {setup.elements[index]} {labels[index]}".rstrip()
        )
    head = [setup.title or structure.composition.reduced_formula, "1.0", *cell]
    head += [" ".join(b.element for b in setup.blocks), " ".join(str(len(b.sites)) for b in setup.blocks), "Direct"]
    return "\n".join([*head, *rows, ""])


def _other_entries(setup: Setup, potcars: list[Potcar]) -> list[Entry]:
    symbols = " ".join(potcar.symbol for potcar in potcars)
    source = "pseudopotentials" if all(potcar.path for potcar in potcars) else "pseudopotentials, POTCAR.spec only"
    return [mesh_entry(setup, "KPOINTS", "mesh"), Entry("POTCAR", "", "symbols", symbols, source)]
