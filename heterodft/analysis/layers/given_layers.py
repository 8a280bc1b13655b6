"""The user's own layers: a list, a mapping, a text, or a file with either.

In Python sites count from 0, as everywhere in Python. In a text or a file they count from 1, as in POSCAR, pw.x and
every viewer: ``1-5,6-10;11-20`` are two layers, the first of the atoms 1 to 10.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from heterodft.errors import ReaderError

__all__ = ["read_layers"]

_SUFFIXES = (".yaml", ".yml", ".json")
_FORMS = "give site lists such as 1-5,6-10;11-20 (from 1), a YAML or JSON file with a list or a mapping, or a keyword"


def read_layers(layers: Any, sites: int) -> list[tuple[str | None, tuple[int, ...]]]:
    """Return labels (None where none is given) and sites, from 0, of layers that a user gave.

    Parameters
    ----------
    layers
        A list of site lists or a mapping of labels to site lists, from 0; or a text or path, from 1.
    sites
        Number of sites of the structure.

    Raises
    ------
    ReaderError
        If a site is named twice, left out or not there, or the text cannot be read.
    """
    first = 1 if isinstance(layers, str | Path) else 0
    source = "layers"
    if isinstance(layers, Path) or (isinstance(layers, str) and layers.endswith(_SUFFIXES)):
        source = f"layers in {layers}"
        layers = _read_file(Path(layers))
    elif isinstance(layers, str):
        if "," in layers and ";" not in layers:
            several = layers.replace(",", ";")
            raise ReaderError(f"layers: '{layers}' is a single layer; put ; between layers: {several}")
        layers = [part for part in layers.split(";") if part.strip()]
    pairs: list[tuple[str | None, Any]]
    if isinstance(layers, Mapping):
        pairs = [(str(label), group) for label, group in layers.items()]
    elif isinstance(layers, list | tuple):
        pairs = [(None, group) for group in layers]
    else:
        raise ReaderError(f"{source}: {layers!r} is neither a list nor a mapping; {_FORMS}")
    found = [(label, tuple(i - first for i in _numbers(group, source))) for label, group in pairs]
    _check(found, sites, first, source)
    return found


def _read_file(path: Path) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReaderError(f"cannot read the layers in {path}: {error}") from error
    try:
        return json.loads(text) if path.suffix == ".json" else YAML(typ="safe").load(text)
    except (ValueError, YAMLError) as error:
        kind = "JSON" if path.suffix == ".json" else "YAML"
        raise ReaderError(f"layers in {path}: no {kind}: {' '.join(str(error).split())[:150]}") from error


def _numbers(group: Any, source: str) -> list[int]:
    """Return the whole numbers of a list, or of a text with ranges."""
    if isinstance(group, str):
        return [number for part in re.split(r"[,\s]+", group.strip()) for number in _range(part, source)]
    if isinstance(group, int) and not isinstance(group, bool):
        return [group]
    try:
        items = list(group)
    except TypeError as error:
        raise ReaderError(f"{source}: {group!r} is no list of sites; {_FORMS}") from error
    numbers: list[int] = []
    for item in items:
        if isinstance(item, str):
            numbers += _range(item.strip(), source)
        elif isinstance(item, bool) or item != int(item):
            raise ReaderError(f"{source}: {item!r} is no number of a site; {_FORMS}")
        else:
            numbers.append(int(item))
    return numbers


def _range(text: str, source: str) -> range:
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    if match is None:
        raise ReaderError(f"{source}: '{text}' is no number of a site and no range such as 6-10; {_FORMS}")
    low, high = int(match[1]), int(match[2] or match[1])
    if high < low:
        raise ReaderError(f"{source}: the range {text} runs backwards; write {high}-{low}")
    return range(low, high + 1)


def _check(layers: list[tuple[str | None, tuple[int, ...]]], sites: int, first: int, source: str) -> None:
    counts = Counter(site for _, group in layers for site in group)
    if any(not group for _, group in layers) or not layers:
        raise ReaderError(f"{source}: a layer without sites; leave it out or give it some")
    beyond = sorted(site for site in counts if not 0 <= site < sites)
    twice = sorted(site for site, count in counts.items() if count > 1)
    left = sorted(set(range(sites)) - set(counts))
    for wrong, text in ((beyond, "not in the structure"), (twice, "named twice"), (left, "in no layer")):
        if wrong:
            several = len(wrong) > 1
            named = ", ".join(str(site + first) for site in wrong[:6]) + (" …" if len(wrong) > 6 else "")
            raise ReaderError(
                f"{source}: site{'s' if several else ''} {named} {'are' if several else 'is'} {text}; the structure "
                f"has the sites {first} to {sites - 1 + first}, each belongs to one layer"
            )
