"""The head of a file, line by line, with errors that say which line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Lines"]

_WHOLE = re.compile(r"-?[0-9]{1,7}", re.ASCII)


@dataclass
class Lines:
    """A file that is read line by line until its numbers begin."""

    data: bytes
    path: Path
    at: int = 0
    line: int = 0

    def next(self) -> str:
        """Return the next line."""
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise ReaderError(f"{self.path} is cut off in line {self.line + 1}, before its grid; copy it again")
        text = self.data[self.at : end].decode("latin-1")
        self.at, self.line = end + 1, self.line + 1
        return text

    def refuse(self, text: str, expected: str) -> NoReturn:
        """Raise what is wrong with the last line."""
        shown = text.strip()[:60]
        raise ReaderError(f"{self.path}: line {self.line} reads {shown!r} where {expected} should be; copy it again")

    def floats(self, numbers: int, expected: str, *, skip: int = 0) -> NDArray[np.float64]:
        """Return so many numbers of the next line, behind so many other words."""
        return self.parse(self.next(), numbers, expected, skip=skip)

    def parse(self, text: str, numbers: int, expected: str, *, skip: int = 0) -> NDArray[np.float64]:
        """Return so many numbers of the last line, behind so many other words."""
        try:
            values = np.array([float(word) for word in text.split()[skip : skip + numbers]])
        except ValueError:
            self.refuse(text, expected)
        if len(values) != numbers or not np.isfinite(values).all():
            self.refuse(text, expected)
        return values

    def dimensions(self) -> tuple[int, int, int]:
        """Return the three dimensions of a grid, the next line that is not empty."""
        text = self.next()
        while not text.strip():
            text = self.next()
        n1, n2, n3 = self.whole_numbers(text, 3, "the three dimensions of the grid")
        if min(n1, n2, n3) < 1:
            self.refuse(text, "the three dimensions of the grid")
        return n1, n2, n3

    def whole_numbers(self, text: str, numbers: int, expected: str) -> list[int]:
        """Return the first integers of a line."""
        words = text.split()[:numbers]
        if len(words) != numbers or not all(_WHOLE.fullmatch(word) for word in words):
            self.refuse(text, expected)
        return [int(word) for word in words]
