"""Compare the page of licences with all packages that were installed here for heterodft: tools/check_licences.py."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "licences.md"
KINDS = r"\b(?:LGPL|GPL|MPL|BSD|MIT|Apache|ISC|PSF|Zlib|CC0)"
LONG_NAMES = {
    "Mozilla Public License": "MPL",
    "Python Software Foundation": "PSF",
    "GNU Lesser": "LGPL",
    "GNU General": "GPL",
}


def installed(name: str = "heterodft") -> dict[str, metadata.Distribution]:
    """Return the installed packages that a package needs, and those that they need in turn."""
    found: dict[str, metadata.Distribution] = {}
    seen, waiting = set(), [(name, frozenset[str]())]
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        found[name] = metadata.distribution(name)
        for line in found[name].requires or []:
            need = Requirement(line)
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ["", *extras]):
                waiting.append((canonicalize_name(need.name), frozenset(need.extras)))
    return found


def kinds(package: metadata.Distribution) -> set[str]:
    """Return the kinds of licence that a package's metadata name."""
    said = package.metadata
    text = said.get("License-Expression")
    if not text:
        classifiers = [line for line in said.get_all("Classifier", []) if line.startswith("License")]
        text = " ".join([said.get("License", "")[:60], *classifiers])  # some give the whole text as License
    for long, short in LONG_NAMES.items():
        text = text.replace(long, short)
    return set(re.findall(KINDS, text))


def listed(page: str) -> dict[str, str]:
    """Return the licence of each package in the tables of what is installed."""
    rows = re.findall(r"^\| ([\w.-]+) \| ([^|]+) \|", page.split("## Only", maxsplit=1)[0], re.MULTILINE)
    return {canonicalize_name(name): licence for name, licence in rows if name != "package"}


def faults(page: str) -> list[str]:
    """Return what the page lacks or says otherwise than the packages."""
    rows, told = listed(page), []
    for name, package in sorted(installed().items()):
        if name == "heterodft":
            continue
        said = kinds(package)
        if name not in rows:
            told.append(
                f"{name} {package.version} is not listed; its licence: {', '.join(sorted(said)) or 'not said'}"
            )
        elif not said <= set(re.findall(KINDS, rows[name])):
            told.append(f"{name} {package.version} is listed as {rows[name]}, and says {', '.join(sorted(said))}")
    return told


if __name__ == "__main__":
    told = faults(PAGE.read_text(encoding="utf-8"))
    print("\n".join(told), file=sys.stderr, end="\n" if told else "")
    sys.exit(bool(told))
