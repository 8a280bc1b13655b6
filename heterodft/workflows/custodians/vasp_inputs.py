"""What a run of VASP may not lose when its inputs are corrected or it is continued: moments, U, and order of atoms.

Custodian's handlers write INCAR and POSCAR through pymatgen, which joins blocks of the same element, and restart from
superposed atoms where a density is there. ``INCAR.orig``, ``POSCAR.orig`` and ``KPOINTS.orig`` hold what was asked;
before every start, `restore_request` puts back what is not a handler's to change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heterodft.files import read_json, write_text

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = [
    "ORIGINAL",
    "SEED_FILE",
    "Poscar",
    "cell_kept",
    "changes_kept",
    "continued_poscar",
    "end_of_file",
    "incar_tags",
    "read_poscar",
    "restore_request",
    "tag_words",
]

ORIGINAL = ".orig"
SEED_FILE = "seed.json"
"""Tags of another start than the one asked for, which was tried since it ended in another state."""
_GUARDED = (
    "ISPIN", "MAGMOM", "NUPDOWN", "LNONCOLLINEAR", "LSORBIT", "SAXIS",
    "LDAU", "LDAUTYPE", "LDAUL", "LDAUU", "LDAUJ", "LMAXMIX",
    "NELECT", "ISIF", "LATTICE_CONSTRAINTS", "GGA", "LDIPOL", "IDIPOL", "DIPOL",
)  # fmt: skip
"""Tags of the state, the functional and the cell."""
_FIXED_DENSITY = 10
_SAME_CELL = 1e-6
_PRINTED_CELL = 1e-4
_TAIL_BYTES = 10_000_000


@dataclass(frozen=True)
class Poscar:
    """A POSCAR as it is written.

    Attributes
    ----------
    title
        First line.
    lattice
        Å, rows, shape (3, 3).
    elements, counts
        Of its blocks, which may repeat an element.
    positions
        Fractional, shape (sites, 3).
    labels
        What stands behind each position.
    """

    title: str
    lattice: NDArray[np.float64]
    elements: tuple[str, ...]
    counts: tuple[int, ...]
    positions: NDArray[np.float64]
    labels: tuple[str, ...]

    @property
    def species(self) -> tuple[str, ...]:
        """Element of each site."""
        return tuple(e for e, number in zip(self.elements, self.counts, strict=True) for _ in range(number))

    def to_text(self) -> str:
        """Return the text of the file."""
        cell = ["  ".join(f"{x + 0.0:19.13f}" for x in vector) for vector in self.lattice]
        rows = [
            f"{x + 0.0:17.13f}  {y + 0.0:17.13f}  {z + 0.0:17.13f} {label}".rstrip()
            for (x, y, z), label in zip(self.positions.tolist(), self.labels, strict=True)
        ]
        head = [self.title, "1.0", *cell, " ".join(self.elements), " ".join(map(str, self.counts)), "Direct"]
        return "\n".join([*head, *rows, ""])


def read_poscar(text: str) -> Poscar | None:
    """Read a POSCAR or CONTCAR of VASP 5 or later; None when it is empty, cut off or holds no finite numbers.

    Velocities at its end are left out: relaxations do not read them.
    """
    lines = text.splitlines()
    try:
        scale = float(lines[1].split()[0])
        lattice = np.array([[float(word) for word in line.split()[:3]] for line in lines[2:5]])
        if scale < 0:  # the volume instead
            scale = (-scale / abs(np.linalg.det(lattice))) ** (1 / 3)
        lattice = scale * lattice
        # VASP 6.4 writes Ti_pv/0123abcd where the POTCAR has a checksum.
        elements = tuple(re.split(r"[_/]", word)[0] for word in lines[5].split())
        counts = tuple(int(word) for word in lines[6].split())
        first = 7 + lines[7].strip().lower().startswith("s")
        rows = [line.split() for line in lines[first + 1 : first + 1 + sum(counts)]]
        positions = np.array([[float(word) for word in row[:3]] for row in rows])
        whole = positions.shape == (sum(counts), 3) and len(elements) == len(counts) and lattice.shape == (3, 3)
        if not whole or not np.isfinite(positions).all() or not np.isfinite(lattice).all():
            return None
        if lines[first].strip().lower()[0] in "ck":
            positions = scale * positions @ np.linalg.inv(lattice)
    except (ValueError, IndexError, ZeroDivisionError, np.linalg.LinAlgError):
        return None
    labels = tuple(" ".join(row[3:]) for row in rows)
    return Poscar(lines[0], lattice, elements, counts, positions, labels)


def continued_poscar(asked: str, reached: str) -> str | None:
    """Return the POSCAR asked for with the positions and the cell that a run reached.

    Parameters
    ----------
    asked
        Its blocks, their order, the labels of its sites and their periodic images are kept.
    reached
        A CONTCAR, or a POSCAR that a handler wrote.

    Returns
    -------
    str or None
        None when it is not whole or has other atoms.
    """
    ours, found = read_poscar(asked), read_poscar(reached)
    if ours is None or found is None or found.species != ours.species:
        return None
    positions = found.positions - np.round(found.positions - ours.positions)
    return Poscar(ours.title, found.lattice, ours.elements, ours.counts, positions, ours.labels).to_text()


def end_of_file(path: Path) -> str:
    """Return the end of a file that VASP may be writing, empty when there is none; OUTCAR grows to gigabytes."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return stream.read().decode(errors="replace")
    except OSError:
        return ""


def incar_tags(text: str) -> dict[str, str]:
    """Return the tags of an INCAR that has one a line, as heterodft and pymatgen write it."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {key.strip().upper(): value.strip() for key, value in pairs}


def restore_request(folder: Path) -> list[str]:
    """Put back what a correction may not change, before VASP starts, and say where the cycle starts from.

    Moments, U, functional and the freedom of the cell are those asked for; blocks, their order and the constraint on
    the cell too. The cycle starts from the density and wavefunctions that are in the folder, with the spin density in
    them, and from MAGMOM only where there are none; a density that is to be kept (dos, bands) is.

    Returns
    -------
    list of str
        What was put back.
    """
    asked = incar_tags((folder / f"INCAR{ORIGINAL}").read_text(encoding="utf-8"))
    seed = read_json(folder / SEED_FILE) if (folder / SEED_FILE).is_file() else {}
    asked |= seed
    text = (folder / "INCAR").read_text(encoding="utf-8")
    now = incar_tags(text)
    kept = {key: value for key, value in now.items() if key not in _GUARDED}
    kept |= {key: asked[key] for key in (*_GUARDED, *seed) if key in asked} | _start(folder, asked)
    written = "".join(f"{key} = {value}\n" for key, value in kept.items())
    if kept != now:
        write_text(folder / "INCAR", written)
    lost = [key for key in _GUARDED if tag_words(now.get(key)) != tag_words(asked.get(key))]
    return lost + _restore_poscar(folder, asked)


def changes_kept(folder: Path) -> dict[str, tuple[str | None, str | None]]:
    """Return what the last run had otherwise than asked, by tag or ``KPOINTS``: asked, and used; None where absent.

    Where a run starts from is left out, and what a failed attempt changed that was then begun anew.
    """
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in ("INCAR", "KPOINTS")}
    originals = {name: (folder / f"{name}{ORIGINAL}").read_text(encoding="utf-8") for name in texts}
    asked, used = incar_tags(originals["INCAR"]), incar_tags(texts["INCAR"])
    changed = [key for key in asked | used if tag_words(asked.get(key)) != tag_words(used.get(key))]
    found = {key: (asked.get(key), used.get(key)) for key in changed if key not in ("ISTART", "ICHARG")}
    if texts["KPOINTS"] != originals["KPOINTS"]:
        found["KPOINTS"] = originals["KPOINTS"], texts["KPOINTS"]
    return found


def _start(folder: Path, asked: dict[str, str]) -> dict[str, str]:
    density, waves = (_filled(folder / name) for name in ("CHGCAR", "WAVECAR"))
    if int(asked.get("ICHARG", "2")) >= _FIXED_DENSITY:
        return {"ISTART": asked.get("ISTART", "0"), "ICHARG": asked["ICHARG"]}
    return {"ISTART": str(int(waves)), "ICHARG": "1" if density else "0" if waves else "2"}


def _filled(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def tag_words(value: str | None) -> list[str]:
    """Return the words of a tag, repetitions written out, numbers and truth values in one spelling.

    Examples
    --------
    >>> tag_words("2*0 4.0 .TRUE.")
    ['0', '0', '4', 'T']
    """
    words: list[str] = []
    for word in (value or "").split():
        number, star, one = word.partition("*")
        words += [_word(one)] * int(number) if star and number.isdigit() else [_word(word)]
    return words


def _word(text: str) -> str:
    bare = text.strip(".").upper()
    if bare in ("T", "TRUE", "F", "FALSE"):
        return bare[0]
    try:
        return f"{float(text):g}"
    except ValueError:
        return bare


def _restore_poscar(folder: Path, asked: dict[str, str]) -> list[str]:
    original = (folder / f"POSCAR{ORIGINAL}").read_text(encoding="utf-8")
    now = (folder / "POSCAR").read_text(encoding="utf-8", errors="replace")
    if now == original:
        return []
    text = continued_poscar(original, now)
    if text is None:
        write_text(folder / "POSCAR", original)
        return ["POSCAR"]
    ours, found = read_poscar(original), read_poscar(text)
    if ours is not None and found is not None:
        fixed = _fixed_vectors(asked)
        if np.abs(found.lattice - ours.lattice)[fixed].max(initial=0.0) > _SAME_CELL:
            # A handler strained the cell in a direction that is fixed, which is not the structure asked for.
            write_text(folder / "POSCAR", original)
            return ["cell"]
    if text != now:
        write_text(folder / "POSCAR", text)
    return []


def cell_kept(folder: Path, lattice: NDArray[np.float64]) -> bool:
    """Tell whether a run ended with the lattice vectors that it was to keep; VASP before 6.4 changes all or none."""
    asked = incar_tags((folder / f"INCAR{ORIGINAL}").read_text(encoding="utf-8"))
    ours = read_poscar((folder / f"POSCAR{ORIGINAL}").read_text(encoding="utf-8"))
    return ours is None or np.abs(lattice - ours.lattice)[_fixed_vectors(asked)].max(initial=0.0) < _PRINTED_CELL


def _fixed_vectors(asked: dict[str, str]) -> list[int]:
    """Return which lattice vectors a run may not change."""
    if asked.get("ISIF", "2") != "3":
        return [0, 1, 2]
    return [0, 1] if "LATTICE_CONSTRAINTS" in asked else []
