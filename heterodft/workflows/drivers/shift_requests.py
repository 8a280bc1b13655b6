"""The calculations of linear response by shifts: tight ground states, and a shifted site in the cell of one."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from heterodft.errors import did_you_mean
from heterodft.templates.hubbard import HubbardU, known_shells
from heterodft.templates.shifts import LARGEST_SHIFT, SHIFT_STEPS, PotentialShift
from heterodft.templates.steps import RELAXATIONS, taken_over
from heterodft.units import RYDBERG
from heterodft.workflows.chains import campaign_chains, refuse_plain_relaxation
from heterodft.workflows.drivers.driver import Driver, Point
from heterodft.workflows.drivers.variants import as_variant, rebuilt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from heterodft.errors import CampaignError
    from heterodft.workflows.calculation import Request
    from heterodft.workflows.campaign import Campaign
    from heterodft.workflows.drivers.driver import Chain

__all__ = ["DEFAULT_SHIFTS", "ShiftsAsked", "build", "shift_requests"]

KIND = "linear_response"
DEFAULT_SHIFTS = (-0.1, -0.05, 0.05, 0.1)
"""eV."""
_FEWEST = 2
"""Shifts; the unshifted cell is the third point of a line."""
_TIGHT = {"espresso": 1e-11 * RYDBERG, "vasp": 1e-9}
"""eV an atom: a density answers the square root of it, which must stay far below what a shift changes."""


class ShiftsAsked(Protocol):
    """What is asked for; the ``linear_response`` section of the campaign file fulfils it."""

    @property
    def elements(self) -> Sequence[str]:
        """``Ti`` or ``Ti-3d``; by default those that have a U in the campaign."""

    @property
    def shifts(self) -> Sequence[float]:
        """eV, without zero; by default `DEFAULT_SHIFTS`."""

    @property
    def structures(self) -> Sequence[str]:
        """Names; by default all."""

    @property
    def orders(self) -> Sequence[str]:
        """Names; by default all."""


def build(
    campaign: Campaign, spec: ShiftsAsked, *, pseudo_dir: Path | None = None, notes: list[str] | None = None
) -> Driver:
    """Return the driver: the ground state of each configuration, from which the shifts follow.

    Parameters
    ----------
    campaign
        Its structures, orders, U and method; steps after the static one are left out.
    spec
        Which elements and shifts.
    pseudo_dir, notes
        As of `heterodft.workflows.drivers.build_driver`.

    Raises
    ------
    CampaignError
        If a shift makes no sense, or an element has no shell or is in none of the structures.
    """
    refuse_plain_relaxation(campaign, "each step of a response tells the occupations of the shells")
    shifts = _checked(campaign, list(spec.shifts or DEFAULT_SHIFTS))
    name = f"{campaign.name}.{KIND}"
    shells = {element: _shell(campaign, element, shell) for element, shell in map(_parts, spec.elements)}
    _check_names(campaign, spec)
    points = []
    for chain in campaign_chains(campaign, pseudo_dir=pseudo_dir, notes=notes):
        about = chain[0].about
        if (spec.structures and about["key"] not in spec.structures and about["name"] not in spec.structures) or (
            spec.orders and about["order"] not in spec.orders
        ):
            continue
        started = _ground_state(campaign, chain, shells)
        if started is not None:
            label = " ".join(str(about[key]) for key in ("name", "order", "hubbard"))
            points.append(Point(label, 0.0, (as_variant(started, name, "alpha"),)))
    if not points:
        raise _error(campaign, "elements", f"no configuration holds {', '.join(shells) or 'an element with a U'}")
    return Driver(KIND, campaign.name, tuple(points), {"method": "shifts", "shifts": shifts})


def _error(campaign: Campaign, key: str, words: str) -> CampaignError:
    return campaign.error(("converge", KIND, key), words)


def _checked(campaign: Campaign, shifts: list[float]) -> list[float]:
    """Return the shifts in rising order.

    Raises
    ------
    CampaignError
        If there are too few, one is zero, too large or there twice, or all have one sign.
    """
    for shift in shifts:
        if not 0 < abs(shift) <= LARGEST_SHIFT:
            raise _error(
                campaign, "shifts", f"a shift of {shift:g} eV; give some of up to {LARGEST_SHIFT:g} eV that are not 0"
            )
    if len({round(shift, 6) for shift in shifts}) != len(shifts):
        raise _error(campaign, "shifts", f"{shifts} names a shift twice; name each once")
    if len(shifts) < _FEWEST or min(shifts) > 0 or max(shifts) < 0:
        raise _error(
            campaign, "shifts", f"{shifts} eV: a slope at zero needs shifts of both signs, such as [-0.05, 0.05]"
        )
    return sorted(round(float(shift), 6) for shift in shifts)


def _parts(element: str) -> tuple[str, str]:
    name, _, shell = element.partition("-")
    return name, shell


def _shell(campaign: Campaign, element: str, shell: str) -> str:
    known = [name for name in known_shells(element) if name[-1] in "df"]
    if not known or (shell and shell not in known):
        has = f" but {' and '.join(known)}" if known else ""
        what = f"{element} has no {shell or 'd or f shell'}{has}"
        raise _error(campaign, "elements", f"{what}; linear response needs a d or f shell to shift")
    return shell or known[0]


def _check_names(campaign: Campaign, spec: ShiftsAsked) -> None:
    for name in spec.structures:
        if not any(name == key or name.startswith(key) for key in campaign.structures):
            hint = did_you_mean(name, campaign.structures)
            raise _error(campaign, "structures", f"no structure is called '{name}'{hint}")


def _ground_state(campaign: Campaign, chain: Sequence[Request], shells: Mapping[str, str]) -> Chain | None:
    """Return the chain up to its static step with occupations tracked, None without a site to shift.

    Raises
    ------
    CampaignError
        If there is no static step, moments have directions, or VASP is asked to shift beside a U.
    """
    steps = [request for request in chain if request.step in (*RELAXATIONS, "static")]
    if not steps or steps[-1].step != "static":
        raise campaign.error(("steps",), "linear response starts from a static step; add static to steps")
    present = set(steps[0].structure["species"])
    given = {u.element: u for u in steps[0].hubbard}
    wanted = {e: s for e, s in shells.items() if e in present} or (
        {} if shells else {u.element: u.shell for u in given.values() if u.shell[-1] in "df" and u.element in present}
    )
    if not wanted:
        return None
    if steps[0].directions is not None or steps[0].spin_orbit:
        raise _error(campaign, "method", "shifts need collinear moments without spin_orbit; leave the axes out")
    corrected = [u.element for u in given.values() if u.value or u.j or any(value for _, value in u.layers)]
    if steps[0].code == "vasp" and corrected:
        raise _error(
            campaign,
            "method",
            f"VASP shifts a site (LDAUTYPE 3) only without U, and {', '.join(corrected)} has one; give U of 0",
        )
    for element, shell in wanted.items():
        if element in given and given[element].shell != shell:
            raise _error(campaign, "elements", f"{element}-{shell}, but hubbard has {element}-{given[element].shell}")
        given[element] = replace(given.get(element, HubbardU(element, shell, 0.0)), tracked=True)
    tight = _tightened(steps[-1])
    tracked = rebuilt([*steps[:-1], tight], hubbard=tuple(given[element] for element in sorted(given)))
    return tuple(replace(r, about=r.about | {"shifted": wanted}) for r in tracked)


def _tightened(request: Request) -> Request:
    tolerance = min(request.settings.scf_tolerance, _TIGHT[request.code])
    source = {"scf_tolerance": "linear response"}
    settings = replace(request.settings, scf_tolerance=tolerance, origin=request.settings.origin | source)
    return replace(
        request, settings=settings, about=request.about | {"origin": request.about.get("origin", {}) | source}
    )


def shift_requests(static: Request, sites: Iterable[int], shifts: Sequence[float]) -> tuple[Request, ...]:
    """Return the bare and the screened calculation of each shift of each site, from the density of a ground state."""
    return tuple(_shifted(static, site, alpha, step) for site in sites for alpha in shifts for step in SHIFT_STEPS)


def _shifted(static: Request, site: int, alpha: float, step: Any) -> Request:
    """Return the calculation of one shift, from the density of the ground state."""
    element = static.structure["species"][site]
    taken = taken_over(static.code, step, "static")
    variant = f"{static.about['variant']}.{element}{site + 1}.{alpha:+g}eV"
    shifted = replace(
        static,
        step=step,
        shift=PotentialShift(site, alpha),
        parent=static.id,
        about=static.about | {"variant": variant, "same_basis": True},
    )
    folder = os.path.relpath(static.path, shifted.path)
    told = {"from": static.path, "what": taken.text, "why_not_all": taken.reason}
    return replace(shifted, about=shifted.about | {"parent_folder": folder, "taken_over": told})
