"""The lines of a campaign file that select a start, where there are such lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from heterodft.errors import StructureError
from heterodft.structures import ORDERS
from heterodft.structures.magnetic_orders import order_signs

if TYPE_CHECKING:
    from heterodft.workflows.configurations import Configuration
    from heterodft.workflows.drivers.start_choices import StartChoice

__all__ = ["start_lines"]


def start_lines(choice: StartChoice) -> tuple[list[str], str]:
    """Return the YAML lines that make the campaign start so, and in words what no line can ask for.

    Examples of lines: ``structures:``, ``  sl:``, ``    magnetism: {orders: [FM], moments: {Cr: 1.5}}``.
    """
    configuration = choice.configuration
    inner: list[str] = []
    remarks: list[str] = []
    if configuration.directions is not None:
        remarks.append("multiply the moments of magnetism as the start says")
    elif configuration.moments is not None:
        order = _order(configuration) if choice.random else configuration.order
        if order is None:
            remarks.append("no line of a campaign file sets these signs of moments")
        elif order in ORDERS:
            inner.append(f"magnetism: {{orders: [{order}], moments: {_sizes(configuration)}}}")
        else:
            remarks.append(f"with the order {order} as it is, give moments: {_sizes(configuration)}")
    for u in configuration.hubbard:
        if u.start is not None:
            up, down = (
                ", ".join("null" if v is None else f"{v:g}" for v in spin) for spin in (u.start.up, u.start.down)
            )
            inner.append(
                f"hubbard: {{{u.element}-{u.shell}: {{U: {u.value:g}, occupations: {{up: [{up}], down: [{down}]}}}}}}"
            )
    if choice.distorted:
        remarks.append("no line of a campaign file distorts a structure; its relaxed structure is in the folder")
    lines = ["structures:", f"  {configuration.built.key}:", *(f"    {line}" for line in inner)] if inner else []
    return lines, "; ".join(remarks)


def _order(configuration: Configuration) -> str | None:
    """Return the name of the order that has the signs of drawn moments, None where none has."""
    moments = np.array(configuration.moments)
    carriers = moments != 0
    host = configuration.built.host or configuration.built.structure
    kept = list(configuration.built.kept or range(len(host)))
    magnetic = np.zeros(len(host), dtype=bool)
    magnetic[kept] = carriers
    for name in ORDERS[1:]:
        try:
            signs = order_signs(host, name, magnetic.tolist())[kept]
        except StructureError:
            continue
        if abs(float((np.sign(moments) * signs)[carriers].sum())) == carriers.sum():
            return name
    return None


def _sizes(configuration: Configuration) -> str:
    """Return the sizes of moments by element, by site of the pristine cell where those of an element differ."""
    structure, kept = configuration.built.structure, configuration.built.kept
    by_element: dict[str, dict[int, float]] = {}
    for i, (site, moment) in enumerate(zip(structure, configuration.moments or (), strict=True)):
        by_element.setdefault(site.species_string, {})[kept[i] if kept else i] = abs(moment)
    sizes: list[str] = []
    single: dict[int, float] = {}
    for element, values in by_element.items():
        if len(set(values.values())) > 1:
            single |= values
        elif any(values.values()):
            sizes.append(f"{element}: {next(iter(values.values())):g}")
    if single:
        sizes.append(f"sites: {{{', '.join(f'{i}: {size:g}' for i, size in single.items())}}}")
    return f"{{{', '.join(sizes)}}}"
