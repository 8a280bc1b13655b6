"""What a linear response found: U by site against the q-mesh and the round, and what to write into the campaign."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heterodft.workflows.drivers.driver import Summary
from heterodft.workflows.drivers.response_course import follow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from pandas import DataFrame

    from heterodft.analysis.plots.response_course import Curve
    from heterodft.analysis.response import EquivalentSites
    from heterodft.analysis.result import Result
    from heterodft.workflows.calculation import Request
    from heterodft.workflows.drivers.driver import Driver, Finished
    from heterodft.workflows.drivers.response_course import Course, Measured

__all__ = ["summarize"]

_SHOWN = 2
"""Digits of a recommended U in eV: linear response is no better."""
_TOLD_SPREAD = 0.01
"""eV."""


def summarize(driver: Driver, finished: Finished, *, figures: bool = False) -> Summary:
    """Return U by site against the q-mesh and against the round."""
    courses = [follow(driver, finished, number) for number in range(len(driver.points[0].chains))]
    ended = all(course.wanted is None for course in courses)
    data = {
        "ended": ended,
        "converged": _converged(courses, asked=driver.rule["self_consistent"]) if ended else None,
        "recommended": {course.name: _recommended(driver, course) for course in courses if course.last is not None},
        "configurations": [_course_data(course) for course in courses],
        **_cost(courses, finished),
    }
    return Summary(
        title=f"{driver.campaign}: Hubbard U by linear response (hp.x)",
        tables={"response_U": _table(courses), "response_cost": _cost_table(courses, finished)},
        words=tuple(words for course in courses for words in _words(driver, course)),
        data=data,
        figures={"response_U": _figure(courses)} if figures else {},
        shown={"U of each inequivalent site (eV)": _narrow(courses)},
    )


def _narrow(courses: Sequence[Course]) -> DataFrame:
    """Return the table of U with what fits a window."""
    table = _table(courses)
    if not len(table):
        return table
    shown = ["structure", "order", "round", "q-mesh", "sites", "layer", "U put in (eV)", "U found (eV)", "state"]
    found = table[shown].rename(columns=lambda name: name.removesuffix(" (eV)"))
    return found.drop(columns=[name for name in ("round", "layer") if found[name].nunique() == 1])


def _converged(courses: Sequence[Course], *, asked: bool) -> bool | None:
    """Tell whether all that was tried agreed; None where nothing could be tried."""
    if any(course.failed for course in courses):
        return False
    verdicts = [course.mesh_converged for course in courses]
    verdicts += [course.self_consistent for course in courses] if asked else []
    tried = [verdict for verdict in verdicts if verdict is not None]
    return all(tried) if tried else None


def _recommended(driver: Driver, course: Course) -> dict[str, Any]:
    """Return the U of each element as the campaign file has it: one value, or one a layer."""
    last = course.last
    if last is None:
        return {}
    found: dict[str, Any] = {}
    for element, shell in _shells(last):
        layers = {layer: u for (name, layer), (_, u) in last.by_layer.items() if name == element}
        values = list(layers.values())
        if max(values) - min(values) > driver.rule["tolerance"]:
            found[f"{element}-{shell}"] = {layer: round(u, _SHOWN) for layer, u in layers.items()}
        else:
            every = [u for site, u in last.by_site.items() if last.request.structure["species"][site] == element]
            found[f"{element}-{shell}"] = round(sum(every) / len(every), _SHOWN)
    return found


def _shells(measured: Measured) -> list[tuple[str, str]]:
    elements = {element for element, _ in measured.by_layer}
    return [(u.element, u.shell) for u in measured.request.hubbard if u.element in elements]


def _in_file(recommended: dict[str, Any]) -> str:
    """Return a line for the campaign file: ``hubbard: {Cr-3d: 4.52}``."""
    shown = [
        f"{key}: {_layers_in_file(value) if isinstance(value, dict) else value}" for key, value in recommended.items()
    ]
    return "hubbard: {" + ", ".join(shown) + "}"


def _layers_in_file(values: dict[str, float]) -> str:
    return "{" + ", ".join(f'"{layer}": {u:g}' for layer, u in values.items()) + "}"


def _words(driver: Driver, course: Course) -> list[str]:
    lines = [f"{course.name}: {course.words}"]
    last = course.last
    if last is None:
        return lines
    doubts = [m for m in (*course.meshes, *course.rounds[1:]) if m.doubt]
    lines += [f"{course.name}: U of {_where(m)} is of {_state(m.doubt)}" for m in doubts]
    for group in last.sites:
        if group.spread > _TOLD_SPREAD:
            sites = _site_names(last, group)
            lines.append(
                f"{course.name}: {sites} are equivalent, their U differ by {group.spread:.3f} eV; the mean is given"
            )
    for (element, layer), (members, _) in last.by_layer.items():
        values = [last.by_site[site] for site in members]
        if max(values) - min(values) > driver.rule["tolerance"]:
            lines.append(
                f"{course.name}: the {element} of {layer or 'the cell'} differ by {max(values) - min(values):.2f} eV "
                "among themselves; a campaign takes one U a layer, their mean"
            )
    if course.wanted is None:
        unsettled = course.mesh_converged is False or course.self_consistent is False
        held = " (not converged)" if unsettled else ""
        held += " (not of the state asked for)" if last.doubt else ""
        lines.append(f"{course.name}: write {_in_file(_recommended(driver, course))}{held}")
    return lines


def _state(doubt: str) -> str:
    return doubt if doubt.startswith("another") else f"a doubtful state: {doubt}"


def _where(measured: Measured) -> str:
    return f"round {measured.round}, q-mesh {'x'.join(map(str, measured.mesh))}"


def _site_names(measured: Measured, group: EquivalentSites) -> str:
    species = measured.request.structure["species"]
    return f"{species[group.sites[0]]} {', '.join(str(site + 1) for site in group.sites)}"


def _measured(course: Course) -> list[Measured]:
    return [*course.meshes, *course.rounds[1:]]


def _table(courses: Sequence[Course]) -> DataFrame:
    import pandas as pd

    rows = [row for course in courses for measured in _measured(course) for row in _rows(course, measured)]
    return pd.DataFrame(rows)


def _rows(course: Course, measured: Measured) -> list[dict[str, Any]]:
    response, request = measured.result.response, measured.request
    rows = []
    for group in measured.sites:
        site = group.sites[0]
        place = response.sites.index(site) if response is not None else 0
        chi0, chi = (
            None if response is None or (matrix := getattr(response, name)) is None else float(matrix[place, place])
            for name in ("chi0", "chi")
        )
        rows.append(
            {
                "structure": request.about["name"],
                "order": request.about["order"],
                "round": measured.round,
                "q-mesh": "x".join(map(str, measured.mesh)),
                "sites": _site_names(measured, group),
                "layer": measured.layers[site],
                "U put in (eV)": measured.put_in[site],
                "U found (eV)": round(group.value, 4),
                "spread (eV)": round(group.spread, 4),
                "chi0 (1/eV)": chi0,
                "chi (1/eV)": chi,
                "state": measured.doubt or "kept",
            }
        )
    return rows


def _course_data(course: Course) -> dict[str, Any]:
    return {
        "name": course.name,
        "words": course.words,
        "mesh_converged": course.mesh_converged,
        "self_consistent": course.self_consistent,
        "failed": course.failed,
        "measured": [
            {
                "id": measured.request.id,
                "path": measured.request.path,
                "round": measured.round,
                "q_mesh": list(measured.mesh),
                "U_in": {str(site): u for site, u in measured.put_in.items()},
                "U_out": {str(site): round(u, 4) for site, u in measured.by_site.items()},
                "doubt": measured.doubt,
            }
            for measured in _measured(course)
        ],
    }


def _spent(courses: Sequence[Course], finished: Finished) -> list[tuple[Request, Result]]:
    """Return every finished calculation with its result, each once."""
    chains = [measured.chain for course in courses for measured in _measured(course)]
    requests = {request.id: request for chain in chains for request in chain}
    return [(request, found) for request in requests.values() if (found := finished.result(request)) is not None]


def _cost(courses: Sequence[Course], finished: Finished) -> dict[str, Any]:
    spent = _spent(courses, finished)
    return {
        "calculations": len(spent),
        "cpu_seconds": round(sum(result.all_cpu_seconds or 0.0 for _, result in spent), 1),
    }


def _cost_table(courses: Sequence[Course], finished: Finished) -> DataFrame:
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "path": request.path,
                "step": request.step,
                "SCF iterations": result.all_iterations,
                "CPU time (s)": result.all_cpu_seconds,
                "wall time (s)": result.wall_seconds,
            }
            for request, result in _spent(courses, finished)
        ]
    )


def _figure(courses: Sequence[Course]) -> Figure:
    from heterodft.analysis.plots.response_course import draw_response

    over_meshes = [curve for course in courses for curve in _curves(course.name, course.meshes, rounds=False)]
    over_rounds = [curve for course in courses for curve in _curves(course.name, course.rounds, rounds=True)]
    return draw_response(over_meshes, [curve for curve in over_rounds if len(curve.at) > 1])


def _curves(name: str, points: Sequence[Measured], *, rounds: bool) -> list[Curve]:
    """Return U of each element in each layer."""
    from heterodft.analysis.plots.response_course import Curve

    return [
        Curve(
            label=" ".join((name, *filter(None, key))),
            at=tuple(str(m.round) if rounds else "x".join(map(str, m.mesh)) for m in points),
            values=tuple(m.by_layer[key][1] for m in points),
            put_in=tuple(m.put_in[m.by_layer[key][0][0]] for m in points),
            doubtful=tuple(bool(m.doubt) for m in points),
        )
        for key in dict.fromkeys(key for measured in points for key in measured.by_layer)
    ]
