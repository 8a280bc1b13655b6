"""Published figures: what a paper states and which quantity of ours is to be put beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from heterodft.analysis.published.statements import Statement, Tolerance, Verdict

__all__ = ["Limit", "Ours", "Published", "PublishedFigure", "Selection"]


@dataclass(frozen=True)
class Selection:
    """Which configurations: names with ``*`` for anything.

    Attributes
    ----------
    structures, hubbard
        Names of structures and of U, each match told by itself.
    order
        The order asked for, in whose state it must be; empty for the lowest in energy, whatever state it reached.
    """

    structures: tuple[str, ...] = ("*",)
    order: str = ""
    hubbard: str = "*"


@dataclass(frozen=True)
class Ours:
    """A quantity of ours, see `heterodft.analysis.published.quantities.QUANTITIES`.

    Attributes
    ----------
    quantity
        Its name.
    of
        The configurations it is taken from.
    minus
        The configuration whose number is subtracted; its fields that are not given are those of the first.
    per
        ``cell``, ``f.u.``, ``atom``, ``magnetic ion`` or an element; empty for the usual one.
    spin
        ``up``, ``down`` or empty.
    elements, layers
        Of the sites to add over; all where empty; layers by label, with ``*``.
    where
        ``defect`` (the atom that is it) or ``neighbours`` (the nearest shell of each element around it).
    share
        Whether it is told as a part of the whole cell's, in %.
    carriers
        ``electrons`` or ``holes``.
    largest
        Of the layer with the most: ``moment`` or ``carriers``.
    bulks
        Names of structures of the bulk materials to compare with, by material.
    parameters
        Stoner parameters in eV by element.
    material
        Whose misfit.
    """

    quantity: str
    of: Selection = Selection()
    minus: Selection | None = None
    per: str = ""
    spin: str = ""
    elements: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    where: str = ""
    share: bool = False
    carriers: str = "electrons"
    largest: str = "moment"
    bulks: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, float] = field(default_factory=dict)
    material: str = ""


@dataclass(frozen=True)
class Limit:
    """The best verdict that the setting of a campaign allows, and why; of campaigns by name, with ``*``."""

    best: Verdict
    because: str
    campaign: str = "*"


@dataclass(frozen=True)
class PublishedFigure:
    """One figure of a paper.

    Attributes
    ----------
    what
        In words.
    theirs
        What is published.
    ours
        What is put beside it; None of what we do not compute, and `because` says why.
    tolerance
        By how much ours may differ; None for the usual.
    limit
        What the setting cannot tell.
    note, because
        Shown beside theirs and beside the verdict.
    campaign
        Of which campaigns it is a figure: their names, with ``*``.
    """

    what: str
    theirs: Statement
    ours: Ours | None = None
    tolerance: Tolerance | None = None
    limit: Limit | None = None
    note: str = ""
    because: str = ""
    campaign: str = "*"


@dataclass(frozen=True)
class Published:
    """The figures of a paper: its source, DOI and question, and which pictures of the report go with them."""

    source: str
    figures: tuple[PublishedFigure, ...]
    doi: str = ""
    asked: str = ""
    pictures: tuple[str, ...] = ()
