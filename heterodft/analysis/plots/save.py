"""A figure on disk: PDF, SVG and PNG, and its numbers as CSV, each file whole and the same bytes every time."""

from __future__ import annotations

import re
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

from matplotlib import rcParams

from heterodft.analysis.plots.style import style
from heterodft.files import atomic_writer, make_folder, write_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.figure import Figure
    from pandas import DataFrame

__all__ = ["save_figure", "to_svg"]

_METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
}


def _render(figure: Figure, kind: str) -> bytes:
    buffer = BytesIO()
    with style():
        figure.savefig(buffer, format=kind, metadata=_METADATA[kind])
    return buffer.getvalue()


def to_svg(figure: Figure) -> str:
    """Return a figure as SVG text without its XML prologue, the same bytes each time."""
    text = _render(figure, "svg").decode()
    # Hundredths of a point are enough, and halve the file.
    return re.sub(r"(\d\.\d\d)\d+", r"\1", text[text.index("<svg") :])


def save_figure(figure: Figure, frame: DataFrame, path: Path) -> list[Path]:
    """Write ``path.pdf``, ``path.svg``, ``path.png`` (300 dots an inch) and ``path.csv``.

    Parameters
    ----------
    figure
        What a ``draw_…`` function returned.
    frame
        The numbers that it shows, units in the names of the columns.
    path
        Without a suffix; its folder is made.

    Returns
    -------
    list of Path
        The four files.

    Raises
    ------
    StorageError
        If the file system refuses.
    """
    make_folder(path.parent)
    named = isinstance(frame.index.name, str) or frame.index.nlevels > 1
    written = [write_text(path.with_name(f"{path.name}.csv"), frame.to_csv(index=named, lineterminator="\n"))]
    with _laid_out(figure):
        for kind in ("pdf", "svg", "png"):
            target = path.with_name(f"{path.name}.{kind}")
            with atomic_writer(target) as stream:
                stream.write(to_svg(figure).encode() if kind == "svg" else _render(figure, kind))
            written.append(target)
    return written


@contextmanager
def _laid_out(figure: Figure) -> Iterator[None]:
    """Arrange the parts of a figure once for all formats, which is most of the work.

    Letters are rounded to dots, so that at fewer dots an inch than are written they would seem too narrow.
    """
    engine, dots = figure.get_layout_engine(), figure.get_dpi()
    with style():
        figure.set_dpi(rcParams["savefig.dpi"])
        figure.draw_without_rendering()
    figure.set_dpi(dots)
    figure.set_layout_engine("none")
    try:
        yield
    finally:
        figure.set_layout_engine(engine)
