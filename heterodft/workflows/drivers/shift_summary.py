"""What linear response by shifts has found, in tables and words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.workflows.drivers.driver import Summary
from heterodft.workflows.drivers.shifts import decide, requests_of, responses, sites_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from heterodft.analysis.linear_response import LinearResponse
    from heterodft.workflows.calculation import Request
    from heterodft.workflows.drivers.driver import Chain, Driver, Finished

__all__ = ["summary_of"]


def summary_of(driver: Driver, finished: Finished, *, figures: bool = False) -> Summary:
    """Return U per inequivalent site of each configuration, and every point it comes from."""
    from pandas import DataFrame, concat

    rows: list[dict[str, Any]] = []
    tables: list[DataFrame] = []
    words: list[str] = []
    drawn = {}
    found_by_label = responses(driver, finished)
    for (label, found), point in zip(found_by_label.items(), driver.points, strict=True):
        static = point.chains[0][-1]
        words += _doubts(label, static, finished) + _failures(label, driver, point.chains[0], finished)
        if isinstance(found, str):
            words.append(f"{label}: {found}")
            continue
        own = _rows(static, found, finished)
        rows += own
        words += _told(label, found, own)
        tables.append(found.to_frame().assign(configuration=label))
        if figures:
            drawn[f"{static.about['name']}-{static.about['order']}-{static.about['hubbard']}"] = found.plot()
    ended = decide(driver, finished).ended
    told = {label: one if isinstance(one, str) else one.to_dict() for label, one in found_by_label.items()}
    data = {"ended": ended, "converged": None, "recommended": rows if ended else None, "responses": told}
    whole = {"u": DataFrame(rows)} | ({"sites": concat(tables, ignore_index=True)} if tables else {})
    return Summary(f"U by shifts of the potential, {driver.campaign}", whole, tuple(words), data, drawn)


def _rows(static: Request, response: LinearResponse, finished: Finished) -> list[dict[str, Any]]:
    from heterodft.structures import layer_labels

    result = finished.result(static)
    if result is None:
        return []
    layered = "layer" in result.structure.site_properties
    layers = layer_labels(result.structure) if layered else [""] * len(result.structure)
    images = sites_of(static, result)
    given = {u.element: u for u in static.hubbard}
    rows = []
    for site in response.shifted:
        place = response.sites.index(site)
        element = static.structure["species"][site]
        fits = [response.own_fit(site, bare=bare) for bare in (True, False)]
        rows.append(
            {
                "structure": static.about["name"],
                "order": static.about["order"],
                "U asked": static.about["hubbard"],
                "site": site + 1,
                "element": element,
                "shell": static.about["shifted"][element],
                "layer": layers[site],
                "sites alike": len(images.get(site, [site])),
                "U given (eV)": dict(given[element].layers).get(layers[site], given[element].value),
                "U (eV)": round(float(response.u[place]), 4),
                "error (eV)": _rounded(response.u_error[place]),
                "chi0 (1/eV)": float(response.chi0[place, place]),
                "chi (1/eV)": float(response.chi[place, place]),
                "curvature": _rounded(max(fit.curvature for fit in fits)),
                "linear": not any(fit.doubtful for fit in fits),
                "points": min(fit.count for fit in fits),
            }
        )
    return rows


def _rounded(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


def _told(label: str, response: LinearResponse, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    words = []
    for row in rows:
        error = "" if row["error (eV)"] is None else f" ± {row['error (eV)']:.2f}"
        where = f" in {row['layer']}" if row["layer"] else ""
        name = f"{row['element']}{row['site']}{where}"
        words.append(f"{label}: U({name}-{row['shell']}) = {row['U (eV)']:.2f}{error} eV, {row['points']} points")
        if max(row["chi0 (1/eV)"], row["chi (1/eV)"]) > 0:
            words.append(
                f"{label}: {name}: electrons go where the potential is raised, which no ground state does; this U is "
                "none, look at the state and the convergence of the cycles"
            )
        if not row["linear"]:
            words.append(
                f"{label}: {name}: the occupation is no straight line even for the smallest shifts; give "
                "smaller ones, or look whether the state is at a transition"
            )
    left = [~used for used in response.used]
    for series, out in zip(response.series, left, strict=True):
        if out.any():
            kind = "bare" if series.bare else "screened"
            far = ", ".join(f"{alpha:+g}" for alpha in series.alphas[out])
            words.append(f"{label}: {kind} shifts of {far} eV of site {series.site + 1} lie beyond the straight line")
    return words + [f"{label}: {note}" for note in response.notes]


def _doubts(label: str, static: Request, finished: Finished) -> list[str]:
    """Say where the state is not the one that was asked for."""
    result = finished.result(static)
    if result is None:
        return []
    verdict = result.request.get("state", {}).get("verdict", "kept") or "kept"
    if verdict == "kept":
        return []
    return [f"{label}: the ground state is not the one asked for ({verdict}); U is that of the state reached"]


def _failures(label: str, driver: Driver, chain: Chain, finished: Finished) -> list[str]:
    if not finished.is_finished(chain):
        return []
    failed = [(r, reason) for r in requests_of(driver, chain, finished) if (reason := finished.failure(r))]
    return [f"{label}: {request.path} failed and is left out: {reason}" for request, reason in failed]
