"""CPU time of writing one calculation of 160 atoms for both codes, beside pymatgen's MPRelaxSet and ASE's writer.

    python benchmarks/inputs.py

All in one run, on one structure: (SrTiO3)4/(LaAlO3)4, 2 x 2, antiferromagnetic, U on Ti. Neither peer writes
U by layer, so theirs is the smaller task. Aim: 5 ms for both codes together.
"""

from __future__ import annotations

import io
import statistics
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heterodft.structures import Block, assign_moments, build_material, build_superlattice, to_ase
from heterodft.templates.espresso import write_espresso
from heterodft.templates.hubbard import HubbardU
from heterodft.templates.potcars import find_potcars
from heterodft.templates.protocols import resolve_settings
from heterodft.templates.pseudopotentials import Pseudopotential
from heterodft.templates.setup import Setup
from heterodft.templates.vasp import write_vasp

if TYPE_CHECKING:
    from collections.abc import Callable

REPEATS, ROUNDS = 20, 7
STRUCTURE = build_superlattice(
    [Block(build_material("SrTiO3"), 4), Block(build_material("LaAlO3"), 4)], in_plane="SrTiO3", supercell=(2, 2)
)
MOMENTS = assign_moments(STRUCTURE, "AFM-G", {"Ti": 1.0})
HUBBARD = (HubbardU("Ti", "3d", 4.0, layers=(("SrTiO3:1", 2.0),)),)
ELEMENTS = {site.species_string for site in STRUCTURE}
VALENCES = {"Sr": 10.0, "Ti": 12.0, "O": 6.0, "La": 11.0, "Al": 3.0}
UPF = {e: Pseudopotential(e, Path(f"/pseudos/{e}.upf"), "0" * 64, VALENCES[e], 4) for e in ELEMENTS}

ATOMS = to_ase(STRUCTURE)
ATOMS.set_initial_magnetic_moments(MOMENTS)


def milliseconds(function: Callable[[], Any]) -> float:
    """Return the median over rounds of the mean CPU time of a call."""
    function()
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(REPEATS):
            function()
        rounds.append((time.process_time() - start) / REPEATS * 1e3)
    return statistics.median(rounds)


def ours(code: str, writer: Callable[..., Any], pseudopotentials: Any) -> Callable[[], Any]:
    """Return one writing, from the numbers of the protocol to the text of every file."""

    def write() -> Any:
        settings = resolve_settings(STRUCTURE, "static", code=code)
        return writer(Setup(code, STRUCTURE, "static", settings, MOMENTS, HUBBARD), pseudopotentials)

    return write


def relax_set() -> Any:
    """Write pymatgen's MPRelaxSet, POTCAR.spec only."""
    from pymatgen.io.vasp.sets import MPRelaxSet

    structure = STRUCTURE.copy(site_properties={"magmom": MOMENTS})
    inputs = MPRelaxSet(structure).get_input_set(potcar_spec=True)
    return [str(part) for part in inputs.values()]


def ase_writer() -> Any:
    """Write with ASE, which makes kinds of different moments and knows no U by layer."""
    from ase.io.espresso import write_espresso_in

    atoms = ATOMS
    stream = io.StringIO()
    names = {e: f"{e}.upf" for e in ELEMENTS}
    write_espresso_in(stream, atoms, {"system": {"ecutwfc": 60, "nspin": 2}}, pseudopotentials=names, kpts=(4, 4, 1))
    return stream.getvalue()


def main() -> None:
    """Measure and print."""
    warnings.simplefilter("ignore")
    espresso = milliseconds(ours("espresso", write_espresso, UPF))
    vasp = milliseconds(ours("vasp", write_vasp, find_potcars(ELEMENTS)))
    mp, ase = milliseconds(relax_set), milliseconds(ase_writer)
    print(f"{len(STRUCTURE)} atoms, CPU time of one calculation, median of {ROUNDS} rounds of {REPEATS}")
    print(f"pw.x  ours {espresso:6.2f} ms   ASE write_espresso_in {ase:6.2f} ms   ratio {ase / espresso:5.1f}")
    print(f"VASP  ours {vasp:6.2f} ms   pymatgen MPRelaxSet   {mp:6.2f} ms   ratio {mp / vasp:5.1f}")
    print(f"both  ours {espresso + vasp:6.2f} ms   aim 5 ms")


if __name__ == "__main__":
    main()
