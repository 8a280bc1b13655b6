"""The figures of one configuration, each with its numbers and a caption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from heterodft.analysis.dos_arrays import spin_names
from heterodft.analysis.plots import (
    draw_bands,
    draw_layer_dos,
    draw_planar_average,
    draw_profile,
    draw_side_view,
)
from heterodft.analysis.report.tables import dos_frame, site_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure
    from pandas import DataFrame

    from heterodft.analysis.bands import LayerBands
    from heterodft.analysis.local import NeighboursDos
    from heterodft.analysis.potentials import PlanarAverage
    from heterodft.analysis.report.collect import ConfigurationReport
    from heterodft.analysis.report.moment_profiles import MomentProfile

__all__ = ["ReportFigure", "draw_figures"]


_SCALES = "Each panel has a scale of its own; an arrowhead stands for a peak beyond it."


@dataclass(frozen=True)
class ReportFigure:
    """A figure, what its files are called, the numbers it shows, and what is said below it."""

    name: str
    figure: Figure
    frame: DataFrame
    caption: str


def draw_figures(report: ConfigurationReport) -> list[ReportFigure]:
    """Draw everything that the finished steps of a configuration tell, in the order it is shown."""
    return list(_drawn(report))


def _drawn(report: ConfigurationReport) -> Iterator[ReportFigure]:
    found = report.read_whole()
    if report.structure is not None and found.layering is not None:
        view = draw_side_view(report.structure, found.layering)
        frame = site_frame(report.structure, found.layering)
        yield ReportFigure("side_view", view, frame, "The cell from the side, coloured by layer.")
    if found.layer_dos is not None:
        spins = "; spin up above the line, spin down below" if found.layer_dos.values.shape[2] == 2 else ""
        caption = (
            f"Density of states by plane, top of the cell on top{spins}; shaded: the window of the table. {_SCALES}"
        )
        yield ReportFigure("layer_dos", draw_layer_dos(found.layer_dos), dos_frame(found.layer_dos), caption)
    if found.moments is not None:
        frame = _moment_frame(found.moments)
        yield ReportFigure("moments", draw_profile(found.moments), frame, _moment_caption(found.moments))
    if report.found.charges is not None:
        caption = f"Electrons of each layer more than in the bulk – {'; '.join(report.found.bulks)}."
        charges = report.found.charges
        yield ReportFigure("charge_transfer", draw_profile(charges), charges.to_frame(), caption)
    for one in found.orbitals:
        caption = f"Orbital polarization of the eg shell of {one.element}, positive where x²−y² is preferred."
        yield ReportFigure(f"orbitals_{one.element}", draw_profile(one), one.to_frame(), caption)
    if found.defect is not None and found.defect.dos is not None:
        dos = found.defect.dos
        caption = f"Density of states of the neighbours of the defect {found.defect.place.kind}. {_SCALES}"
        yield ReportFigure("defect_dos", draw_layer_dos(dos), _shell_frame(dos), caption)
    if found.potential is not None:
        frame = found.potential.to_frame()
        yield ReportFigure(
            "potential", draw_planar_average(found.potential), frame, _potential_caption(found.potential)
        )
    if found.bands is not None:
        yield ReportFigure("bands", draw_bands(found.bands), found.bands.to_frame(), _bands_caption(found.bands))


def _moment_frame(moments: MomentProfile) -> DataFrame:
    from pandas import DataFrame

    data = {"layer": [group.label for group in moments.groups]}
    columns = {f"{name} moment (μB)": moments.values[:, i] for i, name in enumerate(moments.columns)}
    return DataFrame(data | columns)


def _shell_frame(dos: NeighboursDos) -> DataFrame:
    """Return the density of states of neighbours, a column a shell of them, shell of orbitals and spin."""
    from pandas import DataFrame

    spins = spin_names(dos.values.shape[2])
    names = [
        f"{group.label} {shell} {spin} (1/eV)" for group in dos.groups for shell in dos.columns for spin in spins
    ]
    columns = dos.values.reshape(len(names), -1)
    energies = {f"energy from the {dos.reference_name} (eV)": [f"{energy:.3f}" for energy in dos.energies]}
    cells = {name: [f"{x:.4g}" for x in column] for name, column in zip(names, columns, strict=True)}
    return DataFrame(energies | cells)


def _moment_caption(moments: MomentProfile) -> str:
    words = {
        "sphere": "in spheres around the atoms",
        "Löwdin": "projected on atomic wavefunctions (Löwdin)",
        "density between planes": "of the spin density between the middles of neighbouring planes",
    }
    said = "; ".join(words[name] for name in moments.columns if name in words)
    head = "Moments of all atoms of a plane or layer together, from the bottom (left) to the top"
    return f"{head}{': ' if said else ''}{said}."


def _potential_caption(average: PlanarAverage) -> str:
    windows = " and ".join(f"{window:.2f} Å" for window in average.windows)
    said = [f"Electrostatic potential averaged over planes, and over {windows} ({average.window_source})."]
    reached = {block.label for block in average.blocks if block.reached}
    steps = [
        f"{step.below} → {step.above}: {step.value:+.2f} eV"
        for step in average.steps
        if {step.below, step.above} <= reached
    ]
    if steps:
        said.append(f"Steps of the macroscopic average: {'; '.join(steps)}.")
    elif average.steps:
        said.append("The blocks are too thin for a step between plateaus to be told.")
    if average.vacuum and average.fermi_level is not None:
        work = (f"{side}: {value:.2f} eV" for side, value in average.work_functions().items())
        said.append(f"Vacuum level above the Fermi level: {'; '.join(work)}.")
    return " ".join(said)


def _bands_caption(bands: LayerBands) -> str:
    if bands.weights is None:
        return "Bands along the path; the folder holds no projections, so that they are not told by layer."
    return "Bands along the path; colour: the layer that holds most of a state, width: how much of it."
