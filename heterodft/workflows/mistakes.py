"""What is wrong with a value of the campaign file, in our words: the value, and what to give instead."""

from __future__ import annotations

from typing import Any

__all__ = ["in_words"]

_WORDS = {
    "model_type": "give keys and values, {key: value}",
    "model_attributes_type": "give keys and values, {key: value}",
    "dict_type": "give keys and values, {key: value}",
    "list_type": "give a list, [a, b]",
    "tuple_type": "give a list, [a, b, c]",
    "string_pattern_mismatch": "begin with a letter or digit, then letters, digits, '.', '_' or '-', 64 at most",
    "string_type": "give a text",
    "bool_type": "give true or false",
    "bool_parsing": "give true or false",
    "int_type": "give a whole number",
    "int_from_float": "give a whole number",
    "int_parsing": "give a whole number",
    "int_parsing_size": "give a smaller whole number",
    "float_type": "give a number",
    "float_parsing": "give a number",
    "finite_number": "give a finite number",
}
"""By pydantic's names of mistakes."""
_BOUNDS = {
    "greater_than": ("gt", "give more than {}"),
    "greater_than_equal": ("ge", "give {} or more"),
    "less_than": ("lt", "give less than {}"),
    "less_than_equal": ("le", "give {} or less"),
}
_LENGTHS = {"too_short": ("min_length", "at least"), "too_long": ("max_length", "at most")}
_LONGEST = 60
"""Characters of a value that are shown."""


def in_words(mistake: Any) -> str:
    """Return what a mistake found by pydantic means to who wrote the file, without its place.

    Parameters
    ----------
    mistake
        One of ``ValidationError.errors()``.

    Examples
    --------
    >>> in_words({"type": "greater_than_equal", "input": 0, "ctx": {"ge": 1}, "msg": ""})
    '0; give 1 or more'
    """
    kind, told, given = mistake["type"], mistake.get("ctx", {}), _shown(mistake["input"])
    if kind == "value_error":
        return str(told["error"])
    if kind == "too_short" and not told["actual_length"]:
        return f"{given} is empty; give at least {_count(told['min_length'])}"
    if kind == "literal_error":
        remedy = f"give {told['expected']}"
    elif kind in _LENGTHS:
        key, most = _LENGTHS[kind]
        remedy = f"give {most} {_count(told[key])}"
    elif kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        unit = " (eV, Å or hours)" if isinstance(mistake["input"], str) and told[key] else ""
        remedy = words.format(f"{told[key]:.6g}") + unit
    else:
        remedy = _WORDS.get(kind, f"it means nothing here: {mistake['msg']}")
    return f"{given}; {remedy}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _count(number: int) -> str:
    return "one" if number == 1 else str(number)
