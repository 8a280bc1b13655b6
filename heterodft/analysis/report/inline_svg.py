"""Figures inside the page: SVG of fewer points that looks the same, with ids of its own."""

from __future__ import annotations

import re
from itertools import groupby

import numpy as np
from markupsafe import Markup

__all__ = ["inline", "thin"]

_TOLERANCE = 0.1
"""Points by which a line may move: less than a third of the thinnest line drawn."""
_PATH = re.compile(r'(<path\b[^>]*?\bd=")([ML0-9.eE\s-]+)(z?\s*")')
_PIECE = re.compile(r'<path d="([^"]*)" (clip-path="[^"]*" )?style="([^"]*)"/>')
_PIECES = re.compile(rf"(?:{_PIECE.pattern}\s*){{2,}}")
_WIDTH = re.compile(r"stroke-width: (\d+\.?\d*)")


def inline(svg: str, stem: str) -> Markup:
    """Return a figure of ours to set into a page.

    Parameters
    ----------
    svg
        Of matplotlib, which escaped every text in it.
    stem
        What its ids begin with, so that several figures can share a page.
    """
    mark = "".join(c if c.isalnum() else "-" for c in stem)
    for before in ('id="', 'xlink:href="#', "url(#"):
        svg = svg.replace(before, f"{before}{mark}-")
    return Markup(svg)  # noqa: S704, matplotlib escaped what is from files


def thin(svg: str) -> str:
    """Drop the points of lines without which they move by less than a tenth of a point.

    Neighbouring pieces of a line in one colour and, to a tenth of a point, width become one path.
    """
    joined = _PIECES.sub(lambda run: _join(run[0]), svg)
    return _PATH.sub(lambda found: found[1] + _shorter(found[2]) + found[3].replace("\n", ""), joined)


def _join(run: str) -> str:
    """Join pieces of one look, and say what all pieces share only once."""
    pieces = [(clip, _look(style), path) for path, clip, style in _PIECE.findall(run)]
    clips = {clip for clip, _, _ in pieces}
    shared = set.intersection(*(set(look) for _, look, _ in pieces)) if len(clips) == 1 else set()
    paths = [
        f'<path d="{"".join(path for *_, path in own)}" '
        f'{"" if shared else clip}style="{";".join(one for one in look if one not in shared)}"/>'
        for (clip, look), own in groupby(pieces, lambda piece: piece[:2])
    ]
    around = f'<g {clips.pop()}style="{";".join(sorted(shared))}">' if shared else "<g>"
    return "\n".join([around, *paths, "</g>"])


def _look(style: str) -> tuple[str, ...]:
    rounded = _WIDTH.sub(lambda width: f"stroke-width: {float(width[1]):.1f}", style)
    return tuple(part.strip() for part in rounded.split(";") if part.strip())


def _shorter(path: str) -> str:
    """Thin each line of a path out; a stretch that begins where the last one ends carries it on."""
    lines: list[list[tuple[float, float]]] = []
    for part in path.split("M")[1:]:
        numbers = [float(word) for word in part.replace("L", " ").split()]
        points = list(zip(numbers[::2], numbers[1::2], strict=True))
        if lines and points and lines[-1][-1] == points[0]:
            lines[-1] += points[1:]
        else:
            lines.append(points)
    return "".join(f"M{_text(_kept(np.array(line)))}" for line in lines if line)


def _text(points: np.ndarray) -> str:
    return "L".join(f"{x:.2f} {y:.2f}" for x, y in points)


def _kept(points: np.ndarray) -> np.ndarray:
    """Keep the points of a line that lie off the chords between kept ones (Ramer, Douglas and Peucker)."""
    keep = np.zeros(len(points), dtype=bool)
    keep[[0, -1]] = True
    open_parts = [(0, len(points) - 1)]
    while open_parts:
        first, last = open_parts.pop()
        if last - first < 2:
            continue
        distances = _distances(points[first + 1 : last], points[first], points[last])
        farthest = int(distances.argmax())
        if distances[farthest] > _TOLERANCE:
            middle = first + 1 + farthest
            keep[middle] = True
            open_parts += [(first, middle), (middle, last)]
    return points[keep]


def _distances(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return how far points are from the stretch between two others."""
    along = end - start
    length = float(along @ along)
    part = np.clip((points - start) @ along / length, 0.0, 1.0) if length else np.zeros(len(points))
    return np.asarray(np.linalg.norm(points - start - part[:, None] * along, axis=1))
