"""Every setting of the calculations with where it comes from: protocol, campaign, structure, step, raw, forced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heterodft.analysis.report.page_tables import PageTable
from heterodft.units import RYDBERG

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from heterodft.analysis.report.runs import Run

__all__ = ["settings_table"]

_EV = ("cutoff", "density_cutoff")
_UNITS = {
    "smearing_width": "eV", "scf_tolerance": "eV/atom", "dos_energy_step": "eV", "force_tolerance": "eV/Å",
}  # fmt: skip
_FOLLOWS = {"shift": "shift_mesh"}
"""Settings of which the origin is that of another one."""
_XC_FROM = "campaign, PBE by default"


def settings_table(runs: Sequence[Run]) -> PageTable | None:
    """Return each value of a setting with where it comes from and which calculations have it."""
    found: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        for row in _of_run(run):
            found.setdefault(row, []).append(run)
    if not found:
        return None
    rows = [
        [key, value, source or "–", ", ".join(dict.fromkeys(run.step for run in own)), f"{len(own)} of {len(runs)}"]
        for (key, value, source), own in sorted(found.items(), key=lambda item: item[0][0])
    ]
    return PageTable(["setting", "value", "from", "steps", "calculations"], rows, 5)


def _of_run(run: Run) -> Iterator[tuple[str, str, str]]:
    """Yield name, value and origin of each number, of the raw and forced settings each key."""
    origin = run.about.get("origin") or {}
    for key, value in run.settings.items():
        if value in ({}, None, []):
            continue
        source = _XC_FROM if key == "xc" else str(origin.get(key) or origin.get(_FOLLOWS.get(key, "")) or "")
        if key in ("raw", "forced") and isinstance(value, dict):
            for name, one in value.items():
                yield f"{key}: {name}", str(one), str(origin.get(f"{key}: {name}") or source)
        else:
            yield key, _shown(key, value), source
    for entry in run.request.get("hubbard") or ():
        yield from _of_shell(entry, str(origin.get("hubbard") or "campaign"))
    for element, sizes in (run.about.get("moments") or {}).items():
        size, _, source = str(sizes).removesuffix(")").partition(" (")
        one = "," not in str(sizes)  # else several sizes, each with its own source
        yield f"moment {element}", f"{size if one else sizes} μB", source if one else "–"


def _of_shell(entry: Sequence[Any], source: str) -> Iterator[tuple[str, str, str]]:
    element, shell, value, *rest = entry
    more = rest[0] if rest else {}
    name = f"U {element}-{shell}"
    told = f"{value:g} eV" + (f", J {more['j']:g} eV" if "j" in more else "")
    yield name, told, source
    for layer, own in more.get("layers", ()):
        yield f"{name} in {layer}", f"{own:g} eV", f"{source}, by layer"


def _shown(key: str, value: Any) -> str:
    if key in _EV:
        return f"{value:.1f} eV ({value / RYDBERG:.1f} Ry)"
    if key == "path":
        return f"{len(value['kpoints'])} points, {'-'.join(label for _, label in value['labels'])}"
    if isinstance(value, dict):
        return ", ".join(f"{name} = {one}" for name, one in value.items())
    if isinstance(value, list):
        return " × ".join(map(str, value))
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f"{text} {_UNITS[key]}" if key in _UNITS else text
