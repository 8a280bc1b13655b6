"""What a campaign has in the queue or on disk that its file no longer asks for."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from heterodft.analysis.result import RESULT_FILE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from heterodft.workflows.queue.entries import Entry

__all__ = ["find_orphans"]

_LEVELS = 4
"""Of folders below a campaign's: structure, order, U, step."""
_ASIDE = re.compile(r"-([0-9a-f]{12}|unreadable)$")
"""End of the name of a folder that was moved aside since its settings changed."""


def find_orphans(
    runs: Path, campaigns: Iterable[str], wanted: Collection[str], entries: Iterable[Entry]
) -> list[str]:
    """Return the paths of calculations that no request names any more: queued, running, failed or finished.

    What was cancelled, moved aside because of other settings, or is only a link to another campaign is left out.

    Parameters
    ----------
    runs
        Folder of all runs.
    campaigns
        Names of the campaigns that are submitted.
    wanted
        Paths of every request.
    entries
        Of the queue.
    """
    names = set(campaigns)
    live = (entry.name for entry in entries if entry.state not in ("DEFUSED", "ARCHIVED"))
    found = {name for name in live if name.partition("/")[0] in names and name not in wanted}
    for campaign in names:
        found.update(path for path in _finished(runs / campaign, campaign, _LEVELS) if path not in wanted)
    return sorted(found)


def _finished(folder: Path | str, path: str, levels: int) -> Iterator[str]:
    """Yield the paths of the folders with a result, ``levels`` below a folder."""
    if not levels:
        if os.path.isfile(os.path.join(folder, RESULT_FILE)) and not _ASIDE.search(path):  # noqa: PTH113, PTH118
            yield path
        return
    try:
        inside = [item for item in os.scandir(folder) if item.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for item in inside:
        yield from _finished(item.path, f"{path}/{item.name}", levels - 1)
