"""The systems of the papers: rerun their small campaigns, keep what a report needs, write docs/papers.md.

python tools/papers.py run [--kept] [SYSTEM …]    submit, run, report and keep; goes on where it was stopped,
                                                  with --kept also from what is kept of runs elsewhere
python tools/papers.py page                       write docs/papers.md from what is kept
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from heterodft.analysis.published.comparison import compare_published
from heterodft.analysis.published.statements import VERDICTS
from heterodft.analysis.report import collect
from heterodft.analysis.report.summary import counted
from heterodft.errors import HeterodftError, InputError
from heterodft.files import read_json, write_text
from heterodft.templates.families import suggested_cutoffs
from heterodft.workflows.campaign_file import load_campaign, load_published
from heterodft.workflows.campaign_results import configuration_paths

if TYPE_CHECKING:
    from heterodft.analysis.published.comparison import PublishedTable
    from heterodft.workflows.campaign import Campaign

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES, PAGE = ROOT / "examples", ROOT / "docs" / "papers.md"
INTRODUCTION = """\
<!-- Written by tools/papers.py from examples/*/published.yaml and examples/*/results; do not edit. -->
# The papers, run and compared

Published systems, each asked its question in the smallest cell in which the physics can be seen, on two cores. What
was published stands beside what came out. *Reproduced*: within the tolerance stated in `published.yaml`, by default
10 % of the published number, or the same sign or word. *Trend only*: the same sign and half to twice as much, or
reproduced in a cell or with settings that cannot tell more. *Put in*: it follows from what was put into the cell and
shows nothing. *Not reached*: anything else, and why. Nothing is tuned to a published number.

`heterodft report examples/SYSTEM/small.yaml --runs examples/SYSTEM/results/runs` writes the report of a system from
what is kept, without any DFT; `make papers SYSTEM=…` computes it again.
"""
COUNTED = ("system", *VERDICTS, "of these not computed", "CPU time")
HEADER = ("figure", "published", "ours", "difference", "of", "verdict", "why")


@dataclass(frozen=True)
class System:
    """One paper: its folder, and what was kept of its small campaign."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def file(self) -> Path:
        return self.folder / "small.yaml"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def campaign(self) -> Campaign | None:
        return load_campaign(self.file) if self.file.is_file() else None

    def finished(self, campaign: str) -> list[Path]:
        return sorted((self.results / "runs" / campaign).glob("*/*/*/*/result.json"))

    def core_seconds(self, campaign: str) -> dict[str, float]:
        """Return the CPU time of all ranks of each kept calculation by its identity: the same one counts once."""
        told = [read_json(path) for path in self.finished(campaign)]
        return {data["id"]: data.get("spent", {}).get("core_seconds") or data["cpu_seconds"] or 0.0 for data in told}


def find_systems(examples: Path = EXAMPLES) -> list[System]:
    return [System(path.parent) for path in sorted(examples.glob("*/published.yaml"))]


def write_page(examples: Path = EXAMPLES, page: Path = PAGE) -> Path:
    """Write the page of all systems; those without results are named with what is to be compared."""
    top, sections, total = [], [], 0.0
    for system in find_systems(examples):
        published = load_published(system.folder / "published.yaml").to_published()
        source = published.source.rstrip(".")
        source += f", [doi:{published.doi}](https://doi.org/{published.doi})" if published.doi else ""
        sections += ["", f"## {system.name}", "", f"{source}.", published.asked]
        link = f"[{system.name}](#{system.name})"
        campaign = system.campaign()
        if campaign is None or not system.finished(campaign.name):
            top.append([link, "not run yet", *[""] * (len(COUNTED) - 2)])
            sections += ["", "**Not run yet.** What is to be compared:", "", *_grid(("figure", "published"))]
            sections += [_row([figure.what, _noted(figure.theirs.text, figure.note)]) for figure in published.figures]
            continue
        table, lines = _compared(system, campaign, page)
        seconds = sum(system.core_seconds(campaign.name).values())
        total += seconds
        top.append([link, *map(str, (*table.counts.values(), table.uncomputed)), _time(seconds)])
        sections += lines
    head = [*_grid(COUNTED), *map(_row, top)]
    return write_text(page, "\n".join([INTRODUCTION, *head, "", f"CPU time of all: {_time(total)}.", *sections, ""]))


def _compared(system: System, campaign: Campaign, page: Path) -> tuple[PublishedTable, list[str]]:
    """Return the table of a system that was run, and its section."""
    if campaign.published is None:
        raise InputError(f"{system.file} does not say what was published; add published: published.yaml")
    reports = collect(system.results / "runs" / campaign.name, suggested=suggested_cutoffs())
    paths = configuration_paths(campaign)
    table = compare_published(campaign.published.to_published(), reports, paths=paths, campaign=campaign.name)
    spent = system.core_seconds(campaign.name)
    lines = ["", f"{len(spent)} calculations, {_time(sum(spent.values()))} of CPU time. Settings:", ""]
    lines += [f"- {settings}" for settings in dict.fromkeys(row.settings for row in table.rows if row.settings)]
    lines += ["", *_grid(HEADER)]
    for row in table.rows:
        cells = [row.what, _noted(row.theirs, row.note), row.ours, row.difference_text, row.configuration]
        lines.append(_row([*cells, row.verdict, row.why]))
    done = {report.path for report in reports if report.static is not None}
    missing = [path.partition("/")[2] for path in paths if path not in done]
    lines += ["", "Not finished: " + ", ".join(f"`{path}`" for path in missing) + "."] if missing else []
    caveats = counted(reports)
    lines += ["", "Before quoting a number:", "", *(f"- {_plain(caveat)}" for caveat in caveats)] if caveats else []
    for picture in sorted(system.results.glob("*.svg")):
        place = Path("..", *picture.relative_to(page.parents[1]).parts).as_posix()
        lines += ["", f"![{system.name}, {picture.stem.replace('_', ' ')}]({place})"]
    return table, lines


def _noted(text: str, note: str) -> str:
    return f"{text} ({note})" if note else text


def _grid(header: tuple[str, ...]) -> list[str]:
    return [_row(list(header)), "|" + "---|" * len(header)]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(_plain(cell) for cell in cells)} |"


def _plain(text: str) -> str:
    """Keep a text from being read as markup; links stay."""
    for mark in ("|", "*", "<"):
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())


def _time(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


def run(names: list[str], *, from_kept: bool = False) -> int:
    """Submit, run, report and keep each system; return the exit code, 3 where a calculation failed.

    Parameters
    ----------
    names
        Of the systems; all where empty.
    from_kept
        Take the kept results for computed; else only those in the folder of runs are.
    """
    systems = find_systems()
    unknown = sorted(set(names) - {system.name for system in systems})
    if unknown:
        known = ", ".join(system.name for system in systems)
        print(f"papers: there is no system {', '.join(unknown)}; known: {known}", file=sys.stderr)
        return 2
    worst = 0
    for system in systems:
        if (names and system.name not in names) or not system.file.is_file():
            continue
        print(f"== {system.name}", flush=True)
        report, kept = ROOT / "report" / system.name, system.results / "runs"
        if from_kept:
            take_kept(system, ROOT / "runs")
        _heterodft("submit", str(system.file))
        ended = _heterodft("run", codes=(0, 3))
        told = _heterodft("report", str(system.file), "-o", str(report), "--keep", str(kept), codes=(0, 3))
        keep_pictures(system, report)
        worst = max(worst, ended, told)
    print(write_page())
    return worst


def take_kept(system: System, runs: Path) -> None:
    """Copy kept results to where they are looked for before anything is computed; those that are there stay."""
    campaign = system.campaign()
    for path in [] if campaign is None else system.finished(campaign.name):
        folder = runs / path.parent.relative_to(system.results / "runs")
        if not (folder / path.name).exists() and _asked(folder) in (None, _asked(path.parent)):
            shutil.copytree(path.parent, folder, dirs_exist_ok=True)


def _asked(folder: Path) -> str | None:
    """Return the identity of the calculation of a folder, None where there is none."""
    request = folder / "request.json"
    return json.loads(request.read_text(encoding="utf-8"))["id"] if request.is_file() else None


def keep_pictures(system: System, report: Path) -> None:
    """Copy those figures of a report that the page shows."""
    campaign = system.campaign()
    published = None if campaign is None else campaign.published
    for pattern in [] if published is None else published.pictures:
        for path in sorted(report.glob(f"{pattern}.svg")):
            shutil.copyfile(path, system.results / path.name)


def _heterodft(*words: str, codes: tuple[int, ...] = (0,)) -> int:
    code = subprocess.run([sys.executable, "-m", "heterodft", *words], cwd=ROOT, check=False).returncode
    if code not in codes:
        sys.exit(code)
    return code


def main(words: list[str]) -> int:
    try:
        if words[:1] == ["run"]:
            names = [word for word in words[1:] if word != "--kept"]
            return run(names, from_kept="--kept" in words)
        if words == ["page"]:
            print(write_page())
            return 0
    except HeterodftError as error:
        print(f"papers: {error}", file=sys.stderr)
        return 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
