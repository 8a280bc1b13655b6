"""Published figures beside what came out: ours, theirs, the difference, the settings, a verdict and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from heterodft.analysis.plain_data import plain
from heterodft.analysis.published.cell_quantities import final_result, with_minus
from heterodft.analysis.published.choosing import Chosen, Configurations, choose, the_one
from heterodft.analysis.published.found import Found
from heterodft.analysis.published.quantities import FINDERS
from heterodft.analysis.published.setting import doubts_of, method_of, settings_in_words
from heterodft.analysis.published.statements import VERDICTS, judge
from heterodft.analysis.published.vocabulary import QUANTITIES
from heterodft.errors import HeterodftError, ReaderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame

    from heterodft.analysis.published.figures import Ours, Published, PublishedFigure
    from heterodft.analysis.published.statements import Verdict
    from heterodft.analysis.report.collect import ConfigurationReport

__all__ = ["PublishedRow", "PublishedTable", "compare_published"]

_NOTHING = "–"


@dataclass(frozen=True)
class PublishedRow:
    """One published figure beside one number of ours.

    Attributes
    ----------
    what, theirs, note
        The figure, what is published, and what the author of the campaign says of it.
    ours, value, unit
        In words and as a number; ``–`` and None where there is none.
    difference
        Ours less theirs in that unit; None where one of them is no number.
    quantity, configuration, settings
        What ours is, of which structure, order and U, computed how.
    verdict, why
        One of `VERDICTS`, and the reasons for it or against a better one.
    """

    what: str
    theirs: str
    note: str
    ours: str
    value: float | None
    unit: str
    difference: float | None
    quantity: str
    configuration: str
    settings: str
    verdict: Verdict
    why: str

    @property
    def difference_text(self) -> str:
        """The difference with its sign and unit; a dash where there is none."""
        return "–" if self.difference is None else f"{_number(self.difference, sign=True)} {self.unit}".strip()


@dataclass(frozen=True)
class PublishedTable:
    """All figures of a paper."""

    source: str
    doi: str
    asked: str
    rows: tuple[PublishedRow, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many rows have each verdict, the best first."""
        return {verdict: sum(row.verdict == verdict for row in self.rows) for verdict in VERDICTS}

    @property
    def uncomputed(self) -> int:
        """How many rows have nothing of ours, for the reason beside them."""
        return sum(row.ours == _NOTHING for row in self.rows)

    def to_frame(self) -> DataFrame:
        """Return a table, one row a figure and configuration."""
        from pandas import DataFrame

        return DataFrame(
            [
                {
                    "figure": row.what,
                    "published": row.theirs,
                    "ours": row.ours,
                    "difference": row.difference,
                    "unit": row.unit,
                    "verdict": row.verdict,
                    "why": row.why,
                    "quantity": row.quantity,
                    "configuration": row.configuration,
                    "settings": row.settings,
                    "note": row.note,
                }
                for row in self.rows
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        data = {"source": self.source, "doi": self.doi, "asked": self.asked, "verdicts": self.counts}
        return dict(plain(data | {"figures": [asdict(row) for row in self.rows]}))


def compare_published(
    published: Published,
    reports: Sequence[ConfigurationReport],
    *,
    paths: Sequence[str] | None = None,
    campaign: str = "",
) -> PublishedTable:
    """Put what a paper published beside what came out.

    Parameters
    ----------
    published
        Its figures.
    reports
        Of `heterodft.analysis.report.collect`.
    paths
        Of all configurations of the campaign, so that those not run are told; by default those of the reports.
    campaign
        Its name, by which figures and limits are chosen.
    """
    told = [report.path for report in reports]
    every = Configurations(reports, list(dict.fromkeys([*(paths or ()), *told])))
    figures = [figure for figure in published.figures if fnmatchcase(campaign, figure.campaign)]
    rows = [row for figure in figures for row in _rows(figure, every, campaign)]
    return PublishedTable(published.source, published.doi, published.asked, tuple(rows))


def _rows(figure: PublishedFigure, every: Configurations, campaign: str) -> list[PublishedRow]:
    if figure.ours is None:
        return [_row(figure, None, Chosen(""), figure.because or "not computed", campaign)]
    ours = with_minus(figure.ours)
    rows = []
    for chosen in choose(ours.of, every):
        found, reason = None, chosen.reason
        if chosen.report is not None:
            try:
                found = _take(chosen.report, ours, every)
            except HeterodftError as error:
                reason = str(error)
        rows.append(_row(figure, found, chosen, reason, campaign))
    return rows


def _take(report: ConfigurationReport, ours: Ours, every: Configurations) -> Found:
    """Return the quantity of a configuration, less that of another one where that is asked for."""
    find = FINDERS[ours.quantity]
    found = find(report, ours, every)
    if ours.minus is None or ours.quantity == "energy":
        return found
    other = the_one(ours.minus, report, every)
    if other is report:
        raise ReaderError("it is compared with itself")
    less = find(other, ours, every)
    if found.number is None or less.number is None:
        raise ReaderError("no difference of what is no number")
    told = f"{_number(found.number)} less {_number(less.number)} of {other.name} {other.order} {other.hubbard}"
    differs = method_of(final_result(other)) != method_of(final_result(report))
    doubts = ("the two were computed with other settings",) if differs else ()
    return Found(
        found.number - less.number,
        "",
        (told, *found.notes),
        (*found.doubts, *less.doubts, *doubts, *doubts_of(other)),
    )


def _row(figure: PublishedFigure, found: Found | None, chosen: Chosen, reason: str, campaign: str) -> PublishedRow:
    verdict: Verdict = "not reached"
    difference, why = None, [reason] if found is None else []
    settings, unit, value = "", "", None
    if found is not None and chosen.report is not None and figure.ours is not None:
        judged = judge(figure.theirs, found.number, found.word, figure.tolerance)
        doubts = list(dict.fromkeys([*found.doubts, *doubts_of(chosen.report)]))
        verdict = "trend only" if doubts and judged.verdict == "reproduced" else judged.verdict
        difference, value = judged.difference, found.number
        why = [*filter(None, [judged.why]), *doubts, *found.notes, *chosen.notes]
        settings = settings_in_words(chosen.report, final_result(chosen.report))
        unit = QUANTITIES[figure.ours.quantity].unit_of(figure.ours)
        limit = figure.limit
        if limit is not None and fnmatchcase(campaign, limit.campaign):
            limited = max(verdict, limit.best, key=VERDICTS.index)
            why[:0] = [limit.because] if limited != verdict else []
            verdict = limited
    if figure.because and figure.ours is not None:
        why.append(figure.because)
    return PublishedRow(
        what=figure.what,
        theirs=figure.theirs.text,
        note=figure.note,
        ours=_NOTHING if found is None else _in_words(found, unit),
        value=value,
        unit=unit,
        difference=difference,
        quantity="" if figure.ours is None else QUANTITIES[figure.ours.quantity].words,
        configuration=chosen.place,
        settings=settings,
        verdict=verdict,
        why="; ".join(why),
    )


def _in_words(found: Found, unit: str) -> str:
    """Return a value with its unit; of a metal the word alone, of an insulator its gap."""
    if found.number is None or found.word in ("metal", "half-metal"):
        return found.word
    return f"{_number(found.number)} {unit}".strip()


def _number(value: float, *, sign: bool = False) -> str:
    """Return a number in three or four digits, carrier densities with a power of ten.

    Examples
    --------
    >>> _number(0.8712), _number(-131.234), _number(5.123e13), _number(0.5, sign=True)
    ('0.871', '-131.2', '5.12e13', '+0.500')
    """
    plus = "+" if sign else ""
    if abs(value) >= 1e5:
        return f"{value:{plus}.2e}".replace("e+", "e")
    digits = 3 if abs(value) < 10 else 2 if abs(value) < 100 else 1
    return f"{round(value, digits) + 0.0:{plus}.{digits}f}"
