"""What a paper states: a number, a range, a sign or a word; and the verdict on a number of ours."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

from heterodft.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "VERDICTS",
    "Judgement",
    "Statement",
    "Tolerance",
    "Verdict",
    "judge",
    "parse_statement",
    "parse_tolerance",
]

Verdict = Literal["reproduced", "trend only", "put in", "not reached"]
VERDICTS: tuple[Verdict, ...] = ("reproduced", "trend only", "put in", "not reached")
"""The best one first; what was put into a cell and comes out of it again shows nothing."""

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_QUANTITY = re.compile(rf"\s*({_NUMBER})\s*(\S.*?)?\s*")
_BOUND = re.compile(r"\s*([<>])(=?)\s*(.*)")
_PART = 0.1
"""Of a published number, by which ours may differ where no tolerance is given."""
_TREND = 2.0
"""Factor within which a number of the same sign still shows the trend."""


@dataclass(frozen=True)
class Statement:
    """What is published.

    Attributes
    ----------
    text
        As it was written.
    low, high
        Bounds in the unit of the quantity; equal for a number, one of them None for a sign, both for a word.
    word
        ``metal``, ``FM``, ``KTaO3:*``; empty for numbers.
    """

    text: str
    low: float | None = None
    high: float | None = None
    word: str = ""


@dataclass(frozen=True)
class Tolerance:
    """By how much ours may differ: absolute, in the unit of the quantity, or a part of what is published."""

    absolute: float | None = None
    part: float | None = None

    def size(self, published: float) -> float:
        """Return it as a number in the unit of the quantity."""
        return self.absolute if self.absolute is not None else (self.part or 0.0) * abs(published)


@dataclass(frozen=True)
class Judgement:
    """A verdict, ours less theirs where both are numbers, and why it is not better."""

    verdict: Verdict
    difference: float | None = None
    why: str = ""


def parse_statement(value: Any, units: Mapping[str, float], words: Sequence[str] | None = ()) -> Statement:
    """Read what a paper states.

    Parameters
    ----------
    value
        ``0.87``, ``"3.0 eV"``, ``"> 0"``, ``[4.5e13, 10.3e13]`` or a word.
    units
        Factors to the first of them.
    words
        Those that the quantity can answer with; None for any.

    Raises
    ------
    ValueError
        If it is none of these.

    Examples
    --------
    >>> parse_statement("> 0.1 eV", {"meV": 1.0, "eV": 1000.0})
    Statement(text='> 0.1 eV', low=100.0, high=None, word='')
    """
    if isinstance(value, list):
        return _range(value, units)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{value!r}; give a number with its unit, a sign such as '> 0', a range [a, b] or a word")
    text = str(value).strip()
    bound = _BOUND.fullmatch(text)
    if bound is not None:
        number = _number(bound[3], units)
        return Statement(text, low=number) if bound[1] == ">" else Statement(text, high=number)
    if _QUANTITY.fullmatch(text):
        number = _number(text, units)
        return Statement(_with_unit(text, units), number, number)
    if not text or (words is not None and text not in words):
        known = f"{did_you_mean(text, words)}" if words else "; give a number, a sign such as '> 0' or a range [a, b]"
        raise ValueError(f"'{text}' is nothing that this quantity can be{known}")
    return Statement(text, word=text)


def _range(value: list[Any], units: Mapping[str, float]) -> Statement:
    if len(value) != 2:
        raise ValueError(f"{value!r}; a range has two ends, [a, b]")
    low, high = (_number(str(end), units) for end in value)
    if low >= high:
        raise ValueError(f"{value!r}; write the lower end of a range first")
    ends = [f"{end:.6g}".replace("e+", "e") if isinstance(end, float) else str(end) for end in value]
    return Statement(_with_unit(" … ".join(ends), units), low, high)


def _with_unit(text: str, units: Mapping[str, float]) -> str:
    """Add the unit to a text that ends in a number."""
    unit = next(iter(units))
    return f"{text} {unit}".strip() if text[-1:].isdigit() or text.endswith(".") else text


def _number(text: str, units: Mapping[str, float]) -> float:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is no number with a unit")
    unit = match[2] or next(iter(units))
    if unit not in units:
        raise ValueError(f"unknown unit '{unit}' of this quantity{did_you_mean(unit, [u for u in units if u])}")
    number = float(match[1]) * units[unit]
    if not math.isfinite(number):
        raise ValueError(f"'{text}' is no finite number")
    return number


def parse_tolerance(value: Any, units: Mapping[str, float]) -> Tolerance:
    """Read a tolerance: a number with its unit, or a part of what is published, ``10 % of it``.

    Raises
    ------
    ValueError
        If it is neither, or not positive.

    Examples
    --------
    >>> parse_tolerance("20 % of it", {"eV": 1.0})
    Tolerance(absolute=None, part=0.2)
    """
    text = str(value).strip()
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{value!r}; give a number with its unit, or a part: '20 % of it'")
    part = re.fullmatch(rf"({_NUMBER})\s*%\s*of it", text)
    size = float(part[1]) / 100 if part else _number(text, units)
    if not size > 0:
        raise ValueError(f"a tolerance of {value}; give one greater than 0")
    return Tolerance(part=size) if part else Tolerance(absolute=size)


def judge(statement: Statement, number: float | None, word: str, tolerance: Tolerance | None) -> Judgement:
    """Compare ours with what is published.

    A number is reproduced within the tolerance, by default 10 % of what is published; outside of it, the same sign
    and half to twice as much is the trend. A range is as its nearer end. A sign holds or does not; within the
    tolerance of its bound, where one is given, it is not told. A word agrees or does not.
    """
    if statement.word:
        agrees = word == statement.word or fnmatchcase(word, statement.word)
        agrees = agrees or (statement.word == "metal" and word == "half-metal")
        return Judgement("reproduced") if agrees else Judgement("not reached", why="" if word else "ours is a number")
    if number is None:
        return Judgement("not reached", why=f"ours is {word}, no number")
    if statement.low is None or statement.high is None:
        return _judge_sign(statement, number, tolerance)
    if statement.low <= number <= statement.high:
        return Judgement("reproduced", 0.0 if statement.low < statement.high else number - statement.low)
    end = statement.low if number < statement.low else statement.high
    size = (tolerance or Tolerance(part=_PART)).size(end)
    apart = number - end
    if abs(apart) <= size:
        return Judgement("reproduced", apart)
    trend = number * end > 0 and 1 / _TREND <= number / end <= _TREND
    outside = f"outside of the tolerance of {size:.3g}"
    return Judgement("trend only" if trend else "not reached", apart, outside)


def _judge_sign(statement: Statement, number: float, tolerance: Tolerance | None) -> Judgement:
    bound = statement.low if statement.low is not None else statement.high
    assert bound is not None  # noqa: S101
    apart = number - bound if statement.low is not None else bound - number
    size = 0.0 if tolerance is None else tolerance.size(bound)
    if apart > size or (apart == 0 and "=" in statement.text):
        return Judgement("reproduced")
    if abs(apart) <= size:
        return Judgement("not reached", why=f"within {size:.3g} of the bound, which tells nothing")
    return Judgement("not reached", why="the other way round" if bound == 0 else "on the other side of the bound")
