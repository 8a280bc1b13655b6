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


_NUMBER_OR_TEXT: dict[str, Any] = {"anyOf": [{"type": "string", "minLength": 1}, {"type": "number"}]}
Text = Annotated[str, BeforeValidator(_text), Field(min_length=1), form(**_NUMBER_OR_TEXT)]
Texts = Annotated[list[Text], BeforeValidator(_texts), Field(min_length=1), one_or_more]
ElementName = Annotated[str, BeforeValidator(_element)]
Elements = Annotated[list[ElementName], BeforeValidator(as_list), Field(min_length=1), one_or_more]
_RANGE = {"type": "array", "items": _NUMBER_OR_TEXT, "minItems": 2, "maxItems": 2}
Anything = Annotated[Any, form(**_NUMBER_OR_TEXT)]
Stated = Annotated[Any, form(anyOf=[_NUMBER_OR_TEXT, _RANGE])]
Parameter = Annotated[float, reading(_parameter), form(**quantity_form("energy", exclusiveMinimum=0))]


class SelectionSpec(Spec):
    """Configurations: names with ``*``; without an order, the lowest in energy."""

    structure: Texts | None = Field(
        default=None, description="Names of structures, with *; all by default", examples=["sl-V_O*"]
    )
    order: Text | None = Field(
        default=None, description="State reached; by default that of the lowest energy", examples=["FM"]
    )
    hubbard: Text | None = Field(
        default=None, description="Name of the U in the folders, with *; all by default", examples=["Ta-5d-1eV"]
    )

    def to_selection(self) -> Selection:
        """Return it as analysis takes it."""
        return Selection(tuple(self.structure or ("*",)), self.order or "", self.hubbard or "*")


class OursSpec(SelectionSpec):
    """A quantity, of which configurations, and the options that mean something to it."""

    quantity: Annotated[str, reading(_quantity), form(enum=list(QUANTITIES))] = Field(
        description="What of ours is put beside it", examples=["moment"]
    )
    minus: SelectionSpec | None = Field(default=None, description="Of which configurations it is subtracted")
    per: Text | None = Field(
        default=None, description="cell, f.u., atom, magnetic ion or an element; by the quantity", examples=["Cr"]
    )
    spin: Literal["up", "down"] | None = Field(default=None, description="Of a gap: of one spin")
    elements: Elements | None = Field(
        default=None, description="Only these elements; all by default", examples=[["O"]]
    )
    layers: Texts | None = Field(
        default=None, description="Only these layers, with *; all by default", examples=[["KTaO3:*"]]
    )
    where: Literal["defect", "neighbours"] | None = Field(
        default=None, description="Only at the defect, or at its nearest neighbours"
    )
    share: Annotated[bool, Field(strict=True)] = Field(default=False, description="As a part of the whole cell's, %")
    carriers: Literal["electrons", "holes"] | None = Field(
        default=None, description="Of carriers: which; electrons by default"
    )
    largest: Literal["moment", "carriers"] | None = Field(
        default=None, description="Of largest_layer: in what; moment by default"
    )
    bulks: dict[str, Text] | None = Field(
        default=None,
        description="Of charge: the structure of each bulk material to compare with",
        examples=[{"LaNiO3": "LaNiO3"}],
    )
    parameters: dict[ElementName, Parameter] | None = Field(
        default=None, description="Of stoner: I of an element for one spin, eV", examples=[{"Ru": 0.6}]
    )
    material: Text | None = Field(default=None, description="Of misfit: the material that is strained")

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

    to: Literal["trend only", "not reached"] = Field(description="The best verdict")
    because: Text = Field(description="Why no better one", examples=["one layer of each has no inside"])
    campaign: Text = Field(default="*", description="Of the campaigns of this name, with *")


class FigureSpec(Spec):
    """One figure of a paper, or of some campaigns only; without `ours` it is not computed, and `because` says why."""

    what: Text = Field(description="The figure in words", examples=["gap without vacancy"])
    theirs: Stated = Field(
        description="A number with its unit, two as a range, a comparison (> 0) or a word of the quantity",
        examples=["3.0 eV"],
    )
    ours: OursSpec | None = Field(default=None, description="What of ours is put beside it; none where not computed")
    tolerance: Annotated[Anything, BeforeValidator(no_truth)] = Field(
        default=None, description="By how much ours may differ; 10 % by default", examples=["0.1 eV"]
    )
    limit: LimitSpec | None = Field(default=None, description="The best verdict that the settings allow")
    note: Text | None = Field(default=None, description="Shown beside theirs")
    because: Text | None = Field(default=None, description="Shown beside the verdict; needed without ours")
    campaign: Text = Field(default="*", description="A figure of the campaigns of this name only, with *")

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
    """What a paper published.

    Attributes
    ----------
    source, doi
        Journal, volume, page; what follows doi.org/.
    asked
        The question of the paper, in a sentence.
    figures
        In the order to show.
    pictures
        Names of the report's figures, with ``*``, that go beside the table.
    """

    source: Text = Field(description="Journal, volume, page", examples=["Nano Lett. 24, 7134 (2024)"])
    figures: Annotated[list[FigureSpec], Field(min_length=1)] = Field(description="Its figures, in the order to show")
    doi: Annotated[str, Field(pattern=r"^10\.\d{4,9}/\S+$")] | None = Field(
        default=None, description="What follows doi.org/"
    )
    asked: Text | None = Field(default=None, description="The question of the paper, in a sentence")
    pictures: Annotated[list[Text], BeforeValidator(as_list), one_or_more] = Field(
        default=[], description="Names of figures of the report, with *, that go beside the table"
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
