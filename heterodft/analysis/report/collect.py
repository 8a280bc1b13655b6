"""What each configuration of a campaign says, read from its folders."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from heterodft.analysis.corrections import correction_notes
from heterodft.analysis.energies import relative_energies
from heterodft.analysis.gaps import Gap, find_gap
from heterodft.analysis.layers import find_planes, sum_over_groups
from heterodft.analysis.pdos import LayerDos, electrons_between, resolve_by_plane
from heterodft.analysis.readers.espresso.output import read_doubts
from heterodft.analysis.result import RESULT_FILE, Result
from heterodft.errors import ReaderError
from heterodft.files import read_json
from heterodft.units import RYDBERG

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pymatgen.core import Structure

__all__ = ["ConfigurationReport", "LayerRow", "StepReport", "collect"]

WINDOW = (-2.0, 0.0)
"""eV below the Fermi level in which electrons are counted."""


@dataclass(frozen=True)
class StepReport:
    """One step: ``done``, ``failed`` or ``not run``, with the reason of a failure."""

    step: str
    state: str
    reason: str
    folder: str


@dataclass(frozen=True)
class LayerRow:
    """One plane of a layer table.

    Attributes
    ----------
    layer, plane, formula
        ``SrTiO3:1``, 1, ``TiO2``.
    kind
        How moment and charge were made: ``Löwdin``, ``sphere``, or empty when the code told neither.
    moment
        μB; None when not spin-polarized.
    charge
        Valence electrons.
    electrons_up, electrons_down
        In the window below the Fermi level, which is the middle of the gap of an insulator.
    """

    layer: str
    plane: int
    formula: str
    kind: str
    moment: float | None
    charge: float | None
    electrons_up: float
    electrons_down: float


@dataclass
class ConfigurationReport:
    """Everything to show of one configuration.

    Attributes
    ----------
    path
        ``demo/sl/FM/Ti-3d-4eV``.
    name, label, order, hubbard
        Names of the structure, its defect, order and U.
    steps
        In the order they run.
    energy, relative_energy
        eV a cell; the latter to the lowest comparable configuration, None where there is none.
    moment, absolute_moment
        μB a cell.
    gap
        From the dos step, else from the static one.
    gap_step
        Which of the two.
    state
        Verdict on the magnetic state: ``kept``, ``collapsed``, ``flipped``, ``other``, or empty.
    layers
        The layer table; empty without a dos step.
    caveats
        What a reader must know before quoting a number.
    corrections
        By step, what handlers changed while it ran, whether its energy may still be compared, and what pw.x printed
        that stopped nothing but should be known.
    """

    path: str
    name: str
    label: str
    order: str
    hubbard: str
    steps: list[StepReport]
    energy: float | None = None
    relative_energy: float | None = None
    moment: float | None = None
    absolute_moment: float | None = None
    gap: Gap | None = None
    gap_step: str = ""
    state: str = ""
    layers: list[LayerRow] = field(default_factory=list)
    caveats: list[str] = field(default_factory=list)
    structure: Structure | None = None
    layer_dos: LayerDos | None = None
    static: Result | None = None
    dos: Result | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    corrections: list[str] = field(default_factory=list)

    @property
    def gap_text(self) -> str:
        """The gap in words; empty when unknown."""
        return "" if self.gap is None else self.gap.text

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data without arrays."""
        keys = ("path", "name", "label", "order", "hubbard", "energy", "relative_energy", "moment")
        data = {key: getattr(self, key) for key in (*keys, "absolute_moment", "state", "caveats", "corrections")}
        converged = self.static.converged if self.static is not None else None
        return data | {
            "gap": None if self.gap is None else self.gap.value,
            "metal": None if self.gap is None else self.gap.metal,
            "gap_resolved": None if self.gap is None else self.gap.resolved,
            "converged": converged,
            "layers": [asdict(row) for row in self.layers],
            "steps": [asdict(step) for step in self.steps],
        }


def collect(
    root: Path, order: Sequence[str] | None = None, *, expected: Mapping[str, str] | None = None
) -> list[ConfigurationReport]:
    """Read every configuration below a folder.

    Parameters
    ----------
    root
        Folder of a campaign: ``runs/demo``.
    order
        Paths of configurations below the folder's parent, in the order to show; by default alphabetical.
    expected
        Identity that each calculation must have, by its path; a folder that holds another one counts as not run.

    Raises
    ------
    ReaderError
        If the folder holds no calculation.
    """
    folders: dict[str, list[Path]] = {}
    for path in sorted(root.glob("*/*/*/*/request.json")):
        step = path.parent
        if read_json(path)["request"]["step"] == step.name:  # others were moved aside by a later submission
            folders.setdefault(str(step.parent.relative_to(root.parent)), []).append(step)
    if not folders:
        raise ReaderError(f"{root} holds no calculation (NAME/ORDER/U/STEP/request.json); submit the campaign first")
    wanted = (
        [path for path in order if path in folders]
        if order is not None
        else sorted(folders, key=lambda p: p.split("/"))
    )
    reports = [_configuration(path, folders[path], expected or {}) for path in wanted]
    for report, relative in zip(reports, relative_energies([r.static for r in reports]), strict=True):
        report.relative_energy = relative
    return reports


_STEP_ORDER = ("relax-coarse", "relax", "static", "dos", "bands", "potential", "charge")


def _configuration(path: str, folders: list[Path], expected: Mapping[str, str]) -> ConfigurationReport:
    folders.sort(key=lambda folder: _STEP_ORDER.index(folder.name))
    request = read_json(folders[0] / "request.json")
    about = request["about"]
    steps = [_read_step(folder, expected.get(f"{path}/{folder.name}")) for folder in folders]
    report = ConfigurationReport(
        path, about["name"], about["label"], about["order"], about["hubbard"], [step for step, _ in steps]
    )
    for folder, (_, result) in zip(folders, steps, strict=True):
        if result is not None:
            _take(report, result)
            report.corrections += correction_notes(folder.name, result.corrections)
            report.corrections += [f"{folder.name}: {doubt}" for doubt in read_doubts(folder / "pw.out")]
        report.settings[folder.name] = _settings_with_origin(folder)
    report.caveats = _caveats(report, about)
    return report


def _read_step(folder: Path, expected: str | None) -> tuple[StepReport, Result | None]:
    """Return what became of a step, and its result when it is done."""
    identity = read_json(folder / "request.json").get("id")
    state, reason, result = "not run", "", None
    if expected is not None and identity != expected:
        reason = "the folder holds other settings; submit the campaign"
    elif (folder / RESULT_FILE).is_file():
        state, reason, result = _read_result(folder, identity)
    elif (folder / "failure.json").is_file():
        state, reason = "failed", str(read_json(folder / "failure.json").get("reason", ""))
    return StepReport(folder.name, state, reason, str(folder)), result


def _read_result(folder: Path, identity: str | None) -> tuple[str, str, Result | None]:
    try:
        result = Result.load(folder)
    except ReaderError as error:
        return "unreadable", str(error), None
    if result.id != identity:
        return "not run", "the result there is of another request", None
    return "done", "", result


def _take(report: ConfigurationReport, result: Result) -> None:
    """Take over what one finished step says: the static one its energy and state, the dos one the layers."""
    if result.step not in ("static", "dos"):
        return
    report.structure = result.structure
    report.structure.properties["defect"] = result.request.get("about", {}).get("defect")
    report.gap, report.gap_step = (None if result.bands is None else find_gap(result)), result.step
    if result.step == "static":
        report.static = result
        report.energy, report.moment, report.absolute_moment = (
            result.energy,
            result.total_moment,
            result.absolute_moment,
        )
        report.state = result.request.get("state", {}).get("verdict", "")
    elif result.dos is not None:
        report.dos = result
        report.layer_dos = resolve_by_plane(result)
        report.layers = _layer_rows(result, report.layer_dos)


def _layer_rows(result: Result, layer_dos: LayerDos) -> list[LayerRow]:
    planes = find_planes(result.structure)
    sites = result.sites.get("Löwdin") or result.sites.get("sphere")
    charges = moments = None
    if sites is not None:
        charges = sum_over_groups(planes, sites.charges)
        moments = None if sites.moments is None else sum_over_groups(planes, sites.moments)
    electrons = electrons_between(layer_dos, *WINDOW)
    if electrons.shape[1] == 1:
        electrons = electrons.repeat(2, axis=1) / 2
    return [
        LayerRow(
            plane.layer,
            plane.number,
            plane.formula,
            "" if sites is None else sites.kind,
            None if moments is None else float(moments[i]),
            None if charges is None else float(charges[i]),
            float(electrons[i, 0]),
            float(electrons[i, 1]),
        )
        for i, plane in enumerate(planes)
    ]


def _settings_with_origin(folder: Path) -> dict[str, Any]:
    data = read_json(folder / "request.json")
    origin = data["about"].get("origin", {})
    return {key: (value, origin.get(key, "")) for key, value in data["request"]["settings"].items()}


def _caveats(report: ConfigurationReport, about: dict[str, Any]) -> list[str]:
    """Say what stands between these numbers and a result one may quote."""
    caveats = []
    if about.get("protocol") == "fast":
        caveats.append("the protocol fast shows that a campaign runs; its numbers are a demonstration, not a result")
    static = report.static
    if static is not None:
        settings = static.request["request"]["settings"]
        if settings["cutoff"] < 59.9 * RYDBERG:
            caveats.append(f"a cutoff of {settings['cutoff'] / RYDBERG:.0f} Ry is not converged for these elements")
        if static.bands is not None and len(static.bands.weights) == 1:
            caveats.append("the density rests on one k-point")
        if static.converged is False:
            caveats.append("the SCF cycle did not converge; its energy means nothing")
    if static is not None and static.request["request"].get("charge"):
        caveats.append("the cell is charged and its energy lacks the correction for its periodic images")
    if static is not None and static.request["request"]["settings"].get("forced"):
        forced = ", ".join(static.request["request"]["settings"]["forced"])
        caveats.append(f"raw settings were forced against the request: {forced}")
    if not any(step.step == "relax" for step in report.steps):
        caveats.append("the atoms are at their ideal, unrelaxed positions")
    if report.state in ("collapsed", "flipped", "other"):
        words = {"collapsed": "the moments asked for vanished", "flipped": "some moments turned over"}
        said = words.get(report.state, "some of the moments asked for are missing")
        caveats.append(f"the state reached is not the {report.order} order asked for: {said}")
    return caveats
