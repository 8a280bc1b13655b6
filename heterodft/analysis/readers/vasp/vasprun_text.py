"""The text of vasprun.xml: elements found by searching for their ends, without parsing what is between.

Every byte between two elements is looked at, so that a damaged tag is noticed; what is inside an element is only
looked at when asked for.
"""

from __future__ import annotations

import mmap
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.readers.numbers import BadNumberError, parse_number, split_numbers
from heterodft.analysis.readers.opening import is_compressed, read_bytes
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["CutOffError", "DamageError", "Element", "Text", "children", "read_settings"]

_OPEN = re.compile(rb"\s*<(\w+)((?:\s+\w+\s*=\s*\"[^\"<>]*\")*)\s*(/?)>")
_ATTRIBUTE = re.compile(rb"(\w+)\s*=\s*\"([^\"]*)\"")
_BLANK = re.compile(rb"\s*")
_PROLOGUE = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^<>]*\?>)?\s*<modeling>")
_SETTING = re.compile(
    rb"\s*(?:<i((?:\s+\w+=\"[^\"<>]*\")*)\s*>([^\n]*?)</i>|<v((?:\s+\w+=\"[^\"<>]*\")*)\s*>([^<]*)</v>"
    rb"|<separator(?:\s+name=\"[^\"<>]*\")?\s*>|</separator>)"
)
_NAME = re.compile(rb" name=\"\w+ *\"")
_SMALL = 1 << 16
"""Bytes up to which an element is searched for another one of its kind."""
_COPIED = 1 << 26
"""Bytes up to which a file is copied into memory: a mapped one that VASP begins anew would end this process."""
_TRUE, _FALSE = ("T", ".TRUE."), ("F", ".FALSE.")


class DamageError(Exception):
    """Something that VASP does not write; ``position`` in bytes."""

    def __init__(self, what: str, position: int) -> None:
        self.what, self.position = what, position
        super().__init__(what)


class CutOffError(DamageError):
    """The file ends within something."""


class Text:
    """What a file holds: large ones are mapped, others copied or unpacked in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        _keep_freed_memory()
        self.bytes: Any = _contents(path)
        self.end = len(self.bytes)
        found = _PROLOGUE.match(self.bytes, 0, 4096)
        if found is None:
            raise ReaderError(f"{path} does not begin as VASP's vasprun.xml; is it another file, or a damaged one?")
        self.start = found.end()
        close = self.bytes.rfind(b"</modeling>", max(self.start, self.end - 4096))
        self.complete = close >= 0 and not self.bytes[close + 11 :].strip()
        if self.complete:
            self.end = close

    def at(self, position: int) -> str:
        """Say where a position is, for a message."""
        return f"at byte {position} of {self.end}"

    def release(self, start: int, end: int) -> None:
        """Let go of pages that were read: they would count as this process's memory."""
        if isinstance(self.bytes, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            page = mmap.PAGESIZE
            start, end = -(-start // page) * page, end // page * page
            if end > start:
                self.bytes.madvise(mmap.MADV_DONTNEED, start, end - start)


def _keep_freed_memory() -> None:
    """Make the C library keep the memory of small arrays that are freed, which it otherwise gives back each time.

    From the largest array that was freed so far glibc learns up to what size memory is worth keeping
    (M_MMAP_THRESHOLD in mallopt(3)); half the time of reading went into getting pages anew.
    """
    np.empty(1 << 21)


def _contents(path: Path) -> Any:
    if not path.exists():
        raise ReaderError(f"cannot read {path}: it is missing")
    if is_compressed(path) or path.stat().st_size <= _COPIED:
        data = read_bytes(path)
        if not data:
            raise ReaderError(f"{path} is empty; VASP did not begin to write it")
        return data
    try:
        with path.open("rb") as stream:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise ReaderError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


@dataclass(frozen=True)
class Element:
    """An element of the file.

    Attributes
    ----------
    start, end
        Of what is between its tags.
    complete
        Whether its closing tag is there.
    """

    tag: str
    attributes: dict[str, str]
    start: int
    end: int
    complete: bool = True

    @property
    def name(self) -> str:
        """Its attribute of that name, or nothing."""
        return self.attributes.get("name", "")


def children(text: Text, start: int, end: int, *, open_end: bool, long: str = "") -> Iterator[Element]:
    """Yield the elements directly within a part of the file.

    Parameters
    ----------
    open_end
        Whether the part ends because the file does: its last element may then lack its end.
    long
        Tag of a long element that is the last one of the part, so that its end is looked for there.

    Raises
    ------
    DamageError
        Where something else begins than an element.
    CutOffError
        Where the file ends within a tag.
    """
    while (found := _BLANK.match(text.bytes, start, end)) is not None and found.end() < end:
        start = found.end()
        match = _OPEN.match(text.bytes, start, end)
        if match is None:
            if open_end and text.bytes.find(b">", start, end) < 0 and end - start < 200:
                raise CutOffError("the file ends within a tag", start)
            raise DamageError(f"{_shown(text, start)} is no element", start)
        tag = match[1]
        attributes = {key.decode("ascii"): _decoded(value) for key, value in _ATTRIBUTE.findall(match[2])}
        if match[3]:
            yield Element(tag.decode("ascii"), attributes, match.end(), match.end())
            start = match.end()
            continue
        close = _close(text, tag, match.end(), end, near_end=tag == long.encode("ascii"))
        if close < 0 and not open_end:
            raise DamageError(f"<{tag.decode('ascii')}> has no end", start)
        if 0 <= close - match.end() < _SMALL and _opens_again(text, tag, match.end(), close):
            raise DamageError(f"<{tag.decode('ascii')}> begins again before its end", start)
        stop = close if close >= 0 else end
        yield Element(tag.decode("ascii"), attributes, match.end(), stop, close >= 0)
        start = stop + len(tag) + 3 if close >= 0 else end


def _close(text: Text, tag: bytes, start: int, end: int, *, near_end: bool) -> int:
    """Return where an element ends, -1 where it does not."""
    tag = b"</" + tag + b">"
    near = max(start, end - 100)
    close = int(text.bytes.find(tag, near, end)) if near_end else -1
    return close if close >= 0 else int(text.bytes.find(tag, start, end))


def _opens_again(text: Text, tag: bytes, start: int, end: int) -> bool:
    """Whether an element reaches into the next one of its kind, for want of its own end."""
    at = text.bytes.find(b"<" + tag, start, end)
    return at >= 0 and text.bytes[at + len(tag) + 1 : at + len(tag) + 2] in (b" ", b">")


def _shown(text: Text, position: int) -> str:
    return repr(
        bytes(text.bytes[position : position + 40]).split(b"\n")[0].decode("ascii", errors="backslashreplace")
    )


def _decoded(value: bytes) -> str:
    return value.decode("utf-8", errors="replace").strip()


def read_settings(text: Text, element: Element) -> tuple[dict[str, Any], list[str]]:
    """Read ``<incar>`` or ``<parameters>``; of a name that comes twice the first one counts.

    Returns
    -------
    tuple
        Values as bool, int, float, str or lists of them by name in capitals, and words on those that cannot be read.

    Raises
    ------
    DamageError
        If there is anything else than settings.
    """
    settings: dict[str, Any] = {}
    doubts: list[str] = []
    position = element.start
    while (match := _SETTING.match(text.bytes, position, element.end)) is not None:
        position = match.end()
        attributes = match[1] if match[1] is not None else match[3]
        if attributes is None:
            continue
        given = {key.decode("ascii"): _decoded(value) for key, value in _ATTRIBUTE.findall(attributes)}
        name, kind = given.get("name", ""), given.get("type", "float")
        value = match[2] if match[1] is not None else match[4]
        if (b"<" in value and name != "SYSTEM") or not _NAME.search(attributes):  # SYSTEM is free text, not escaped
            raise DamageError(f"{_shown(text, match.start())} in <{element.tag}> is no setting", match.start())
        try:
            read = _typed(value, kind) if match[1] is not None else _typed_list(value, kind)
        except (BadNumberError, ValueError):
            doubts.append(f"{name} in <{element.tag}> is {_decoded(value)!r}, which is no {kind}; it is left out")
            continue
        settings.setdefault(name.upper(), read)
    if text.bytes[position : element.end].strip():
        if element.complete:
            raise DamageError(f"{_shown(text, position)} in <{element.tag}> is no setting", position)
        raise CutOffError(f"the file ends within <{element.tag}>", position)
    return settings, doubts


def _typed(value: bytes, kind: str) -> bool | int | float | str:
    word = _decoded(value)
    if kind == "string":
        return word
    if kind == "logical":
        return _logical(word)
    if kind not in ("int", "float"):
        raise ValueError(kind)
    return int(word) if kind == "int" else parse_number(value)


def _typed_list(value: bytes, kind: str) -> list[Any]:
    return split_numbers(value) if kind == "float" else [_typed(word, kind) for word in value.split()]


def _logical(word: str) -> bool:
    if word.upper() not in (*_TRUE, *_FALSE):
        raise ValueError(word)
    return word.upper() in _TRUE
