"""The ``published`` section of the campaign file: what a paper states, and what of ours is put beside it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from heterodft.analysis.published.figures import Limit, Ours, Published, PublishedFigure, Selection
from heterodft.analysis.published.statements import Statement, parse_statement, parse_tolerance
from heterodft.analysis.published.vocabulary import QUANTITIES
from heterodft.errors import did_you_mean
from heterodft.units import parse_quantity
from heterodft.workflows.fields import Spec, as_list, form, no_truth, one_or_more, quantity_form, reading

__all__ = ["FigureSpec", "LimitSpec", "OursSpec", "PublishedSpec", "SelectionSpec"]

_ELEMENT = re.compile(r"[A-Z][a-z]?")
_SELECTION = ("structure", "order", "hubbard")
_PER = ("cell", "f.u.", "atom", "magnetic ion")


def _text(value: Any) -> Any:
    """Take ``001``, which YAML may read as a number, as it stands."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _texts(value: Any) -> Any:
    return [_text(one) for one in as_list(value)]


def _quantity(value: Any) -> Any:
    if value not in QUANTITIES:
        raise ValueError(f"unknown quantity '{value}'{did_you_mean(str(value), QUANTITIES)}")
    return value


def _element(value: Any) -> Any:
    from pymatgen.core import Element

    if not isinstance(value, str) or not Element.is_valid_symbol(value):
        raise ValueError(f"'{value}' is no element")
    return value


def _parameter(value: Any) -> float:
    size = parse_quantity(value, "energy")
    if size <= 0:
        raise ValueError(f"a Stoner parameter of {value}; give one greater than 0, in eV")
    return size


Text = Annotated[str, BeforeValidator(_text), Field(min_length=1), form(type=["string", "number"])]
Texts = Annotated[list[Text], BeforeValidator(_texts), Field(min_length=1), one_or_more]
ElementName = Annotated[str, BeforeValidator(_element)]
Elements = Annotated[list[ElementName], BeforeValidator(as_list), Field(min_length=1), one_or_more]


class SelectionSpec(Spec):
    """Configurations: names with ``*``; without an order, the lowest in energy."""

    structure: Texts | None = Field(default=None, description="Names of structures, with *; all by default")
    order: Text | None = Field(default=None, description="Magnetic order; the lowest in energy by default")
    hubbard: Text | None = Field(default=None, description="Label of U, with *; all by default")

    def to_selection(self) -> Selection:
        """Return it as analysis takes it."""
        return Selection(tuple(self.structure or ("*",)), self.order or "", self.hubbard or "*")


class OursSpec(SelectionSpec):
    """A quantity, of which configurations, and the options that mean something to it."""

    quantity: Annotated[str, reading(_quantity), form(enum=sorted(QUANTITIES))] = Field(
        description="Quantity that is put beside it"
    )
    minus: SelectionSpec | None = Field(default=None, description="Configuration whose value is taken away")
    per: Text | None = Field(
        default=None, description="Of what the value is: cell, f.u., atom, magnetic ion, or an element"
    )
    spin: Literal["up", "down"] | None = Field(default=None, description="Of one spin only")
    elements: Elements | None = Field(default=None, description="Of these elements only")
    layers: Texts | None = Field(default=None, description="Of these layers only, with *")
    where: Literal["defect", "neighbours"] | None = Field(
        default=None, description="Of the sites of a defect or of its neighbours only"
    )
    share: Annotated[bool, Field(strict=True)] = Field(default=False, description="As a part of the whole cell's")
    carriers: Literal["electrons", "holes"] | None = Field(
        default=None, description="Which carriers; electrons by default"
    )
    largest: Literal["moment", "carriers"] | None = Field(
        default=None, description="What is largest; the moment by default"
    )
    bulks: dict[str, Text] | None = Field(default=None, description="Folders of bulk runs by material")
    parameters: (
        dict[ElementName, Annotated[float, reading(_parameter), form(**quantity_form("energy", exclusiveMinimum=0))]]
        | None
    ) = Field(default=None, description="Stoner parameters by element, eV")
    material: Text | None = Field(default=None, description="Of this material only")

    @model_validator(mode="after")
    def _options_of_the_quantity(self) -> Self:
        quantity = QUANTITIES[self.quantity]
        given = [key for key in self.model_fields_set if key not in ("quantity", *_SELECTION)]
        for key in sorted(given):
            if key not in quantity.takes:
                takes = f"it takes {', '.join(quantity.takes)}" if quantity.takes else "it takes none"
                raise ValueError(f"{key} means nothing to {self.quantity}; {takes}")
        for key in quantity.needs:
            if getattr(self, key) is None:
                raise ValueError(f"{self.quantity} needs {key}")
        if self.minus is not None and not self.minus.model_fields_set:
            raise ValueError("minus names nothing; give a structure, an order or hubbard: {order: FM}")
        self._check_per()
        if self.share and self.per is not None:
            raise ValueError("share is a part of the whole cell's; leave out per")
        if self.quantity == "orbital_polarization" and len(self.elements or ()) > 1:
            raise ValueError(f"elements: {', '.join(self.elements or ())}; the polarization is that of one element")
        return self

    def _check_per(self) -> None:
        if self.per is not None and self.per not in _PER and not _ELEMENT.fullmatch(self.per):
            raise ValueError(f"per: '{self.per}'; give {', '.join(_PER)} or an element")

    def to_ours(self) -> Ours:
        """Return it as analysis takes it."""
        return Ours(
            quantity=self.quantity,
            of=self.to_selection(),
            minus=None if self.minus is None else self.minus.to_selection(),
            per=self.per or "",
            spin=self.spin or "",
            elements=tuple(self.elements or ()),
            layers=tuple(self.layers or ()),
            where=self.where or "",
            share=self.share,
            carriers=self.carriers or "electrons",
            largest=self.largest or "moment",
            bulks=self.bulks or {},
            parameters=self.parameters or {},
            material=self.material or "",
        )


class LimitSpec(Spec):
    """The best verdict that a setting allows, and why; `campaign` says of which, ``*-small``."""

    to: Literal["trend only", "put in", "not reached"] = Field(
        description="The best verdict that the setting allows; put in: it follows from what was put into the cell"
    )
    because: Text = Field(description="Why")
    campaign: Text = Field(default="*", description="Name of the campaigns it holds for, with *")


class FigureSpec(Spec):
    """One figure of a paper, or of some campaigns only; without `ours` it is not computed, and `because` says why."""

    what: Text = Field(description="What the figure is, in words")
    theirs: Any = Field(description="What the paper states: a number with its unit, a bound, or words")
    ours: OursSpec | None = Field(default=None, description="What of ours is put beside it; not computed without")
    tolerance: Annotated[Any, BeforeValidator(no_truth)] = Field(
        default=None, description="How far ours may be from theirs"
    )
    limit: LimitSpec | None = Field(default=None, description="The best verdict that a setting allows")
    note: Text | None = Field(default=None, description="What a reader should know")
    because: Text | None = Field(default=None, description="Why it is not computed")
    campaign: Text = Field(default="*", description="Name of the campaigns it is of, with *")

    @model_validator(mode="after")
    def _can_be_compared(self) -> Self:
        if self.ours is None and self.because is None:
            raise ValueError("give ours: {quantity: …}, or say in because: why it is not computed")
        if self.ours is None and (self.limit is not None or self.tolerance is not None):
            raise ValueError("limit and tolerance mean nothing without ours")
        self.to_figure()
        return self

    def to_figure(self) -> PublishedFigure:
        """Return it as analysis takes it.

        Raises
        ------
        ValueError
            If what is published is nothing that the quantity can be.
        """
        ours = None if self.ours is None else self.ours.to_ours()
        limit = self.limit
        return PublishedFigure(
            what=self.what,
            theirs=self._statement(ours),
            ours=ours,
            tolerance=None if self.tolerance is None else parse_tolerance(self.tolerance, _units(ours)),
            limit=None if limit is None else Limit(limit.to, limit.because, limit.campaign),
            note=self.note or "",
            because=self.because or "",
            campaign=self.campaign,
        )

    def _statement(self, ours: Ours | None) -> Statement:
        if ours is None:
            if not isinstance(self.theirs, str | int | float) or isinstance(self.theirs, bool):
                raise ValueError(f"theirs: {self.theirs!r}; give a number or words")
            return Statement(str(self.theirs))
        return parse_statement(self.theirs, _units(ours), QUANTITIES[ours.quantity].answers)


def _units(ours: Ours | None) -> dict[str, float]:
    if ours is None or ours.share:
        return {"%": 1.0}
    return dict(QUANTITIES[ours.quantity].units) or {"": 1.0}


class PublishedSpec(Spec):
    """What a paper published."""

    source: Text = Field(description="Journal, volume, page")
    figures: Annotated[list[FigureSpec], Field(min_length=1)] = Field(
        description="Figures of the paper, in the order to show"
    )
    doi: Annotated[str, Field(pattern=r"^10\.\d{4,9}/\S+$")] | None = Field(
        default=None, description="What follows doi.org/"
    )
    asked: Text | None = Field(default=None, description="The question of the paper, in a sentence")
    pictures: Annotated[list[Text], BeforeValidator(as_list), one_or_more] = Field(
        default=[], description="Names of the report's figures, with *, that go beside the table"
    )

    def to_published(self) -> Published:
        """Return it as analysis takes it."""
        return Published(
            source=self.source,
            figures=tuple(figure.to_figure() for figure in self.figures),
            doi=self.doi or "",
            asked=self.asked or "",
            pictures=tuple(self.pictures),
        )
