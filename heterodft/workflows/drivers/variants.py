"""Chains of a campaign as a driver computes them: in folders of its own, perhaps from the density of another one."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from heterodft.templates.steps import RELAXATIONS, taken_over

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from heterodft.workflows.calculation import Request
    from heterodft.workflows.drivers.driver import Chain, Finished

__all__ = ["as_variant", "computed_before", "rebuilt", "start_from"]


def as_variant(chain: Sequence[Request], campaign: str, variant: str) -> Chain:
    """Return a chain as the variant of a configuration in the campaign of a driver; nothing it computes changes.

    Parameters
    ----------
    chain
        Of the campaign.
    campaign
        `Driver.name`.
    variant
        What tells it from others of the same configuration, as in a folder name: ``60Ry``, ``up``.
    """
    return tuple(replace(r, about=r.about | {"campaign": campaign, "variant": variant}) for r in chain)


def rebuilt(chain: Sequence[Request], **changes: Any) -> Chain:
    """Return a chain with some fields of all its requests changed; each step starts from the new one before it."""
    became: dict[str | None, str | None] = {}
    steps: list[Request] = []
    for request in chain:
        steps.append(replace(request, **changes, parent=became.get(request.parent, request.parent)))
        became[request.id] = steps[-1].id
    return tuple(steps)


def start_from(chain: Sequence[Request], before: Request) -> Chain:
    """Return a chain whose first step starts from the structure and the density of a finished calculation.

    The density carries the magnetic state, and with U the occupations: starting moments then decide nothing. The
    cells must have the same atoms in the same order.
    """
    first = chain[0]
    taken = taken_over(first.code, first.step, before.step, same_basis=False)
    about = first.about | {
        "parent_folder": os.path.relpath(before.path, first.path),
        "same_basis": False,
        "taken_over": {"from": before.path, "what": taken.text, "why_not_all": taken.reason},
        "relaxed": _is_relaxed(before),
    }
    started = replace(first, parent=before.id, about=about)
    became = {first.id: started.id}
    steps = [started]
    for request in chain[1:]:
        steps.append(replace(request, parent=became.get(request.parent or "", request.parent)))
        became[request.id] = steps[-1].id
    return tuple(steps)


def computed_before(chain: Chain, others: Iterable[Chain], finished: Finished) -> Chain:
    """Return a chain, or in its place one that differs in its start alone and is finished already.

    What a point starts from is chosen by what is finished. A point that failed, was passed over and is finished
    later, by a retry, would change that choice for the points behind it, and with it their identity: what was
    computed for them would be computed once more.
    """
    if finished.is_finished(chain):
        return chain
    return next((other for other in others if finished.is_finished(other)), chain)


def _is_relaxed(request: Request) -> bool:
    """Whether the structure that a calculation ends with was relaxed, in it or before it."""
    known = request.about.get("relaxed")
    return request.step in RELAXATIONS or (request.parent is not None if known is None else bool(known))
