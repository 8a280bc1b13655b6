"""What each configuration of a campaign says, read from its folders."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heterodft.analysis.corrections import correction_notes
from heterodft.analysis.dos_checks import TOO_COARSE
from heterodft.analysis.energies import ConfigurationEnergies, relative_energies
from heterodft.analysis.equal_layers import EQUAL_LAYERS
from heterodft.analysis.gap_of_steps import gap_of_steps
from heterodft.analysis.plain_data import plain
from heterodft.analysis.readers.espresso.output import read_doubts
from heterodft.analysis.report.against_bulk import compare_with_bulks
from heterodft.analysis.report.caveats import find_caveats
from heterodft.analysis.report.electron_caveats import electron_caveats
from heterodft.analysis.report.findings import Findings, find_all, without_arrays
from heterodft.analysis.report.layer_rows import LayerRow, layer_rows
from heterodft.analysis.report.marks import marks_of
from heterodft.analysis.result import RESULT_FILE, Result
from heterodft.analysis.state_marks import OTHER, is_accepted, order_shown, state_marks, state_of
from heterodft.errors import HeterodftError, ReaderError
from heterodft.files import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core import Structure

    from heterodft.analysis.energies import ConfigurationEnergy
    from heterodft.analysis.gaps import Gap

__all__ = ["ConfigurationReport", "StepReport", "collect"]

_SMALLER = 0.01
"""eV by which a gap counts as smaller."""


@dataclass(frozen=True)
class StepReport:
    """One step: ``done``, ``failed``, ``unreadable``, ``running`` or ``not run``, and why, or where it runs."""

    step: str
    state: str
    reason: str
    folder: str


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
        From the k-points of the static and the dos step together.
    gap_steps
        Those of the two that it is from.
    state
        Verdict on the magnetic state: ``kept``, ``collapsed``, ``flipped``, ``other``; ``accepted`` where another
        state was taken as one of its own, by whose name `order` then is; or empty.
    layers
        The layer table, see `LayerRow`.
    ranked
        Its energy among the orders of its structure and U; None where it has no energy.
    static, dos
        What energy and moments, and what the density of states are from; neither with its arrays, see `read_dos`.
    found
        What its steps give layer by layer, and why not where they do not; see `read_whole`.
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
    gap_steps: tuple[str, ...] = ()
    state: str = ""
    layers: list[LayerRow] = field(default_factory=list)
    caveats: list[str] = field(default_factory=list)
    structure: Structure | None = None
    static: Result | None = None
    dos: Result | None = None
    ranked: ConfigurationEnergy | None = None
    found: Findings = field(default_factory=Findings)
    settings: dict[str, Any] = field(default_factory=dict)
    corrections: list[str] = field(default_factory=list)

    @property
    def setting(self) -> str:
        """U as its folder is called, with what tells a variant: ``Ti-3d-4eV.up``."""
        return self.path.rpartition("/")[2]

    @property
    def marks(self) -> tuple[str, ...]:
        """What must stand beside any number of it: ``not converged``, ``flipped``, ``dos failed``, ``not run``."""
        return marks_of(self)

    @property
    def gap_source(self) -> str:
        """Where the gap is from: ``from the static and dos steps, 8 k-points``; empty when unknown."""
        if self.gap is None:
            return ""
        steps = f"{' and '.join(self.gap_steps)} step{'s' * (len(self.gap_steps) > 1)}"
        return f"from the {steps}, {self.gap.kpoints} k-point{'s' * (self.gap.kpoints != 1)}"

    @property
    def gap_text(self) -> str:
        """The gap in words; empty when unknown."""
        return "" if self.gap is None else self.gap.text

    @property
    def path_gap_text(self) -> str:
        """The gap along the path of the bands where it is smaller than that of the mesh, which missed an edge."""
        path, gap = self.found.path_gap, self.gap
        if path is None or gap is None or gap.metal or path > gap.value - _SMALLER:
            return ""
        return f"{path:.2f} eV" if path else "metal"

    def read_dos(self) -> Result:
        """Read the dos step with its density of states and bands, which `dos` is without.

        Raises
        ------
        ReaderError
            If it is not done or cannot be read.
        """
        if self.dos is None:
            raise ReaderError("there is no density of states: the dos step is not done")
        return Result.load(self._folders["dos"])

    def read_whole(self) -> Findings:
        """Read the steps once more and return all of `found`, with what is too large to be kept of each one.

        Raises
        ------
        ReaderError
            If a step that was read before cannot be read now.
        """
        done = [step.step for step in self.steps if step.state == "done"]
        return find_all({step: Result.load(self._folders[step]) for step in done}, self._folders)

    @property
    def _folders(self) -> dict[str, Path]:
        return {step.step: Path(step.folder) for step in self.steps}

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data without arrays."""
        keys = ("path", "name", "label", "order", "hubbard", "energy", "relative_energy", "moment")
        data = {key: getattr(self, key) for key in (*keys, "absolute_moment", "state", "caveats", "corrections")}
        found, ranked = self.found, self.ranked
        data |= {
            "gap": None if self.gap is None else self.gap.value,
            "metal": None if self.gap is None else self.gap.metal,
            "gap_resolved": None if self.gap is None else self.gap.resolved,
            "gap_on_path": found.path_gap,
            "marks": list(self.marks),
            "converged": None if self.static is None else self.static.converged,
            "layers": [asdict(row) for row in self.layers],
            "steps": [asdict(step) for step in self.steps],
            "state_reached": "" if ranked is None else ranked.state,
            "energy_reference": "" if ranked is None else ranked.reference,
            "energy_per_formula_unit": None if ranked is None else ranked.per_formula_unit,
            "energy_per_magnetic_ion": None if ranked is None else ranked.per_magnetic_ion,
            "not_comparable": "" if ranked is None else ranked.reason,
            "same_state_as": "" if ranked is None else ranked.same_as,
            "defect": None if found.defect is None else found.defect.to_dict(),
            "potential_steps": [] if found.potential is None else [asdict(step) for step in found.potential.steps],
            "structure": None if found.relaxed is None else found.relaxed.to_dict(),
            "missing": found.missing,
            "notes": found.notes,
        }
        return dict(plain(data))


def collect(
    root: Path,
    order: Sequence[str] | None = None,
    *,
    expected: Mapping[str, str] | None = None,
    reference: str = "FM",
    stoner: Mapping[str, float] | None = None,
    suggested: Mapping[str, float] | None = None,
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
    reference
        The order whose energy is zero within each structure and U; where it was not reached, the lowest is.
    stoner
        Stoner parameters in eV by element, for N(EF) of one spin; see `heterodft.analysis.stoner.StonerProduct`.
    suggested
        eV: the cutoff that the authors of a pseudopotential suggest, by its checksum.

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
        below = [path.name for path in sorted(root.glob("*/")) if next(path.glob("*/*/*/*/request.json"), None)]
        remedy = f"name one of its campaigns: {', '.join(below)}" if below else "submit the campaign first"
        raise ReaderError(f"{root} holds no calculation (NAME/ORDER/U/STEP/request.json); {remedy}")
    wanted = (
        [path for path in order if path in folders]
        if order is not None
        else sorted(folders, key=lambda p: p.split("/"))
    )
    reports = [_configuration(path, folders[path], expected or {}, stoner, suggested) for path in wanted]
    for report, relative in zip(reports, relative_energies([r.static for r in reports]), strict=True):
        report.relative_energy = relative
    _rank(reports, reference)
    compare_with_bulks(reports)
    return reports


def _rank(reports: Sequence[ConfigurationReport], reference: str) -> None:
    """Rank the energies within each structure and U."""
    families: dict[tuple[str, str], list[ConfigurationReport]] = {}
    for report in reports:
        if report.static is not None:
            families.setdefault((report.name, report.hubbard), []).append(report)
    for members in families.values():
        results = [report.static for report in members if report.static is not None]
        orders = [report.order for report in members]
        names = [r.order if orders.count(r.order) == 1 else f"{r.order} ({r.path.split('/')[-1]})" for r in members]
        ranked = ConfigurationEnergies.from_results(results, names=names, reference=reference).rows
        for report, name in zip(members, names, strict=True):
            report.ranked = next(row for row in ranked if row.name == name)


_STEP_ORDER = (
    "relax-coarse", "relax", "static", "dos", "bands", "potential", "charge", "response", "shift-bare", "shift",
)  # fmt: skip


def _configuration(
    path: str,
    folders: list[Path],
    expected: Mapping[str, str],
    stoner: Mapping[str, float] | None,
    suggested: Mapping[str, float] | None,
) -> ConfigurationReport:
    folders.sort(key=lambda folder: _STEP_ORDER.index(folder.name))
    about = _names(path, folders)
    steps = [_read_step(folder, expected.get(f"{path}/{folder.name}")) for folder in folders]
    report = ConfigurationReport(
        path, about["name"], about["label"], about["order"], about["hubbard"], [step for step, _ in steps]
    )
    results = {step.step: result for step, result in steps if result is not None}
    _take(report, results)
    report.found = find_all(results, {folder.name: folder for folder in folders}, stoner=stoner)
    report.layers = layer_rows(report.found)
    for folder in folders:
        if folder.name in results:
            report.corrections += correction_notes(folder.name, results[folder.name].corrections)
            report.corrections += [f"{folder.name}: {doubt}" for doubt in read_doubts(folder / "pw.out")]
        report.settings[folder.name] = _settings_with_origin(folder)
    names = [step.step for step, _ in steps]
    relaxed = results.get("relax") or results.get("relax-coarse")
    report.caveats[:0] = find_caveats(
        report.static, about, state=report.state, steps=names, relaxed=relaxed, suggested=suggested
    )
    report.caveats += [note for note in report.found.notes if TOO_COARSE in note or EQUAL_LAYERS in note]
    report.caveats += _state_caveats(report, results)
    _let_go(report)
    return report


def _names(path: str, folders: Sequence[Path]) -> Mapping[str, Any]:
    """Return what a configuration is called; a step that it shares with another one tells the names of that."""
    told = [read_json(folder / "request.json")["about"] for folder in folders]
    keys = ("campaign", "name", "order", "hubbard")
    return next((about for about in told if "/".join(str(about.get(key)) for key in keys) == path), told[0])


def _let_go(report: ConfigurationReport) -> None:
    """Drop what is large, of which the tables are made and figures are drawn: it is read again for these."""
    report.dos = report.dos and without_arrays(report.dos)
    report.static = report.static and without_arrays(report.static)
    report.found.let_go()


def _state_caveats(report: ConfigurationReport, results: Mapping[str, Result]) -> list[str]:
    """Return what is to be known of the state of each step, what holds for the energy's own step once."""
    static = report.static
    own = () if static is None else state_marks(static)
    told = own[1:] if report.state in OTHER else own  # the first is told already
    caveats = [f"the state reached in {static.step}: {mark}" for mark in told if static is not None]
    for step, result in results.items():
        news = [mark for mark in state_marks(result) if mark not in own]
        caveats += [f"the state reached in {step}: {mark}" for mark in news]
    return caveats


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
    elif (folder / "process.json").is_file():
        state, reason = "running", _where_it_runs(folder)
    return StepReport(folder.name, state, reason, str(folder)), result


def _where_it_runs(folder: Path) -> str:
    """Return the process that a step is, ``process 4211 on node7``."""
    try:
        told = read_json(folder / "process.json")
    except HeterodftError:  # it has just ended
        return ""
    return f"process {told.get('pid')} on {told.get('host')}" if told.get("pid") else ""


def _read_result(folder: Path, identity: str | None) -> tuple[str, str, Result | None]:
    try:
        result = Result.load(folder)
    except ReaderError as error:
        return "unreadable", str(error), None
    if result.id != identity:
        return "not run", "the result there is of another request", None
    return "done", "", result


def _take(report: ConfigurationReport, results: Mapping[str, Result]) -> None:
    """Take energy, moments, state and gap from the static step, of a chain without one from the relaxation."""
    asked = {step.step for step in report.steps}
    final = next((step for step in ("static", "relax", "relax-coarse") if step in asked), "static")
    static, dos = results.get(final), results.get("dos")
    report.static = static
    report.dos = dos if dos is not None and dos.dos is not None else None
    if static is not None:
        report.energy, report.moment = static.energy, static.total_moment
        report.absolute_moment = static.absolute_moment
        record = state_of(static)
        report.state = "accepted" if is_accepted(record) else str(record.get("verdict", ""))
        report.order = order_shown(static) or report.order
    last = dos or static
    if last is not None:
        report.structure = last.structure
        report.structure.properties.setdefault("defect", last.request.get("about", {}).get("defect"))
    with suppress(HeterodftError):  # the bands hold too little to tell
        report.gap, report.gap_steps = gap_of_steps([result for result in (static, dos) if result is not None])
    report.caveats += electron_caveats(results, final, report.gap)


def _settings_with_origin(folder: Path) -> dict[str, Any]:
    data = read_json(folder / "request.json")
    origin = data["about"].get("origin", {})
    return {key: (value, origin.get(key, "")) for key, value in data["request"]["settings"].items()}
