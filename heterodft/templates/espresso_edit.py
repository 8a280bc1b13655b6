"""Changing an input of pw.x that `write_espresso` wrote: single settings, and the atoms it starts from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from heterodft.templates.espresso import fortran

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymatgen.core import Structure

__all__ = ["edit_namelists", "read_value", "replace_structure"]

_ORDER = ("control", "system", "electrons", "ions", "cell")


def edit_namelists(text: str, changes: Mapping[str, Any]) -> str:
    r"""Return an input with some settings changed, added, or removed where the value is None.

    Parameters
    ----------
    text
        Input with one setting a line.
    changes
        By ``namelist->key``, as in ``electrons->mixing_beta``.

    Examples
    --------
    >>> edit_namelists("&ELECTRONS\n   mixing_beta      = 0.4\n/\n", {"electrons->mixing_beta": 0.2})
    '&ELECTRONS\n   mixing_beta      = 0.2\n/\n'
    """
    for name, value in changes.items():
        section, _, key = name.partition("->")
        text = _edit(text, section, key, value)
    return text


def _edit(text: str, section: str, key: str, value: Any) -> str:
    block = _block(text, section)
    if block is None:
        return text if value is None else _add_namelist(text, section, f"   {key:16} = {fortran(value)}\n")
    lines = [line for line in block[1].splitlines(keepends=True) if not _is_setting(line, key)]
    if value is not None:
        lines.append(f"   {key:16} = {fortran(value)}\n")
    return text[: block.start(1)] + "".join(lines) + text[block.end(1) :]


def _add_namelist(text: str, section: str, line: str) -> str:
    """Add a namelist where pw.x looks for it: it reads them in a fixed order."""
    before = [block for name in _ORDER[: _ORDER.index(section.lower())] if (block := _block(text, name))]
    place = text.index("\n", before[-1].end(1)) + 1 if before else 0
    return f"{text[:place]}&{section.upper()}\n{line}/\n{text[place:]}"


def _block(text: str, section: str) -> re.Match[str] | None:
    return re.search(rf"^&{section}[ \t]*\n(.*?)^/[ \t]*$", text, re.MULTILINE | re.DOTALL | re.IGNORECASE)


def _is_setting(line: str, key: str) -> bool:
    return line.partition("=")[0].strip().lower() == key.lower()


def read_value(text: str, name: str) -> str | None:
    r"""Return a setting as it is written, without quotes; None when it is not there.

    Examples
    --------
    >>> read_value("&CONTROL\n   calculation      = 'scf'\n/\n", "control->calculation")
    'scf'
    """
    section, _, key = name.partition("->")
    block = _block(text, section)
    for line in block[1].splitlines() if block else ():
        if _is_setting(line, key):
            return line.partition("=")[2].strip().strip("'")
    return None


def replace_structure(text: str, structure: Structure) -> str:
    """Return an input that starts from other positions and another cell of the same atoms, labels kept.

    Parameters
    ----------
    text
        Input with ATOMIC_POSITIONS crystal and CELL_PARAMETERS angstrom.
    structure
        The same atoms in the same order.
    """
    lines = text.splitlines(keepends=True)
    start = _card(lines, "ATOMIC_POSITIONS")
    for number, site in enumerate(structure, start=start + 1):
        label, *old = lines[number].split()
        x, y, z = site.frac_coords.tolist()
        lines[number] = "  ".join([f"{label:4} {x:14.10f}", f"{y:14.10f}", f"{z:14.10f}", *old[3:]]) + "\n"
    start = _card(lines, "CELL_PARAMETERS")
    for number, vector in enumerate(structure.lattice.matrix, start=start + 1):
        lines[number] = "  ".join(f"{x:16.10f}" for x in vector) + "\n"
    return "".join(lines)


def _card(lines: list[str], name: str) -> int:
    return next(number for number, line in enumerate(lines) if line.startswith(name))
