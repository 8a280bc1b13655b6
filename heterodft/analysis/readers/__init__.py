"""Readers, one a format, and `read_folder`, which makes the one Result of a finished folder."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from heterodft.analysis.readers.espresso_output import read_pw_output
from heterodft.analysis.readers.espresso_xml import read_pw_xml
from heterodft.analysis.readers.projwfc import read_lowdin, read_projected_dos, read_spilling
from heterodft.analysis.readers.vasp import read_vasp
from heterodft.analysis.result import Result, SiteValues
from heterodft.errors import ReaderError
from heterodft.files import read_json

if TYPE_CHECKING:
    from pathlib import Path

    from pymatgen.core import Structure

    from heterodft.analysis.readers.espresso_output import PwOutput
    from heterodft.analysis.readers.espresso_xml import PwXml

__all__ = ["read_folder"]

_STEP_OF = {"scf": "static", "nscf": "dos", "bands": "bands", "relax": "relax", "vc-relax": "relax"}


def read_folder(folder: Path) -> Result:
    """Read a folder in which VASP or pw.x (and projwfc.x) finished.

    Parameters
    ----------
    folder
        Of VASP: holds ``vasprun.xml`` and ``OUTCAR``. Of pw.x: ``NAME.save/data-file-schema.xml``, ``pw.out``, and
        after a dos step the files of projwfc.x. With a ``request.json`` the labels of its sites are taken over.

    Raises
    ------
    ReaderError
        If a file is missing, cut off, or does not belong to the others.
    """
    request = read_json(folder / "request.json") if (folder / "request.json").is_file() else {}
    if (folder / "vasprun.xml").is_file() or request.get("request", {}).get("code") == "vasp":
        result = read_vasp(folder, request)
        return replace(result, structure=_labelled(result.structure, request, folder))
    found = sorted(folder.glob("*.save/data-file-schema.xml"))
    if len(found) != 1:
        raise ReaderError(f"{folder} holds {len(found)} pw.x results (*.save/data-file-schema.xml); expected one")
    xml = read_pw_xml(found[0])
    step = request.get("request", {}).get("step") or _STEP_OF.get(xml.calculation, "static")
    if step in ("potential", "charge"):
        return _read_post_processing(folder, step, xml, request)
    printed = read_pw_output(folder / "pw.out")
    structure = _labelled(xml.structure, request, folder)
    polarized = xml.bands.energies.shape[0] == 2
    sites = _spheres(printed, polarized=polarized) if xml.converged is not None else {}
    dos = spilling = None
    if step != "bands" and (folder / "projwfc.out").is_file():
        dos = read_projected_dos(folder, sites=len(structure))
        sites["Löwdin"] = read_lowdin(folder / "projwfc.out", polarized=polarized)
        spilling = read_spilling(folder / "projwfc.out")
    return Result(
        code="espresso",
        version=xml.version,
        step=step,
        structure=structure,
        electrons=xml.electrons,
        energy=xml.energy,
        fermi_levels=xml.fermi_levels,
        total_moment=xml.total_moment,
        absolute_moment=xml.absolute_moment,
        sites=sites,
        converged=None if xml.converged is None else xml.converged and printed.converged is not False,
        iterations=xml.iterations,
        accuracy=printed.accuracy if xml.converged is not None else None,
        cpu_seconds=_seconds(folder, printed.cpu_seconds, "cpu_seconds"),
        wall_seconds=_seconds(folder, printed.wall_seconds, "wall_seconds"),
        bands=xml.bands,
        dos=dos,
        spilling=spilling,
        request=request,
    )


def _seconds(folder: Path, last: float | None, name: str) -> float | None:
    """Return a time of a run together with those of the attempts before it, kept as ``pw.out.1`` …"""
    if last is None:
        return None
    return last + sum(getattr(read_pw_output(path), name) or 0.0 for path in folder.glob("pw.out.*"))


def _read_post_processing(folder: Path, step: str, xml: PwXml, request: dict[str, Any]) -> Result:
    """Read what pp.x ran on: the structure and Fermi level of its parent, but neither its energy nor its bands."""
    printed = [read_pw_output(path) for path in sorted(folder.glob("*.out"))]
    seconds = [p.cpu_seconds for p in printed if p.cpu_seconds is not None]
    walls = [p.wall_seconds for p in printed if p.wall_seconds is not None]
    return Result(
        code="espresso",
        version=xml.version,
        step=step,
        structure=_labelled(xml.structure, request, folder),
        electrons=xml.electrons,
        energy=None,
        fermi_levels=xml.fermi_levels,
        total_moment=None,
        absolute_moment=None,
        sites={},
        converged=None,
        iterations=None,
        accuracy=None,
        cpu_seconds=sum(seconds) if seconds else None,
        wall_seconds=sum(walls) if walls else None,
        request=request,
    )


def _spheres(printed: PwOutput, *, polarized: bool) -> dict[str, SiteValues]:
    if not printed.charges:
        return {}
    return {"sphere": SiteValues("sphere", printed.charges, printed.moments if polarized else None)}


def _labelled(structure: Structure, request: dict[str, Any], folder: Path) -> Structure:
    """Give the sites the labels of the request, which has them in the same order."""
    asked = request.get("request", {}).get("structure")
    if asked is None:
        return structure
    if [site.species_string for site in structure] != asked["species"]:
        raise ReaderError(f"{folder}: the result has other atoms than its request.json; files of another run?")
    for name, values in asked["site_properties"].items():
        structure.add_site_property(name, values)
    return structure
