"""What a report cites: the methods and programs that its calculations really used, as text and as BibTeX."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from heterodft.analysis.report.runs import Run

__all__ = ["Citation", "Reference", "find_citations", "references", "to_bibtex"]

_LATEX = {"á": r"{\'a}", "ö": r"{\"o}", "ü": r"{\"u}", "–": "--", "&": r"\&"}


@dataclass(frozen=True)
class Reference:
    """A published paper; ``others`` as the last author stands for those not named."""

    key: str
    authors: tuple[str, ...]
    title: str
    journal: str
    volume: int
    pages: str
    year: int
    doi: str

    @property
    def text(self) -> str:
        """As in a list of references, without the DOI.

        Examples
        --------
        >>> references()["monkhorst1976"].text
        'H. J. Monkhorst and J. D. Pack, Special points for Brillouin-zone integrations, Phys. Rev. B 13, 5188 (1976)'
        """
        first_page = self.pages.partition("-")[0]
        return f"{self._names}, {self.title}, {self.journal} {self.volume}, {first_page} ({self.year})"

    @property
    def _names(self) -> str:
        names = [_initials(author) for author in self.authors if author != "others"]
        if len(names) < len(self.authors):
            return f"{names[0]} et al."
        return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

    @property
    def bibtex(self) -> str:
        """As an entry of a BibTeX file."""
        fields = {
            "author": " and ".join(self.authors),
            "title": "{" + self.title + "}",
            "journal": self.journal,
            "volume": str(self.volume),
            "pages": self.pages.replace("-", "--"),
            "year": str(self.year),
        }
        lines = [f"  {name} = {{{_latex(value)}}}," for name, value in fields.items()]
        return "\n".join([f"@article{{{self.key},", *lines, f"  doi = {{{self.doi}}},", "}"])


@dataclass(frozen=True)
class Citation:
    """A reference and what it was used for."""

    reference: Reference
    used_for: str


def _initials(author: str) -> str:
    """Return ``H. J. Monkhorst`` of ``Monkhorst, Hendrik J.``."""
    family, _, given = author.partition(", ")
    return " ".join([*("-".join(f"{part[0]}." for part in name.split("-")) for name in given.split()), family])


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


@cache
def references() -> Mapping[str, Reference]:
    """Return all references this version knows, by key."""
    from ruamel.yaml import YAML

    text = (resources.files("heterodft.analysis.report") / "references.yaml").read_text(encoding="utf-8")
    data: dict[str, dict[str, Any]] = YAML(typ="safe").load(text)
    return {
        key: Reference(key, tuple(values["authors"]), **_rest(values), pages=str(values["pages"]))
        for key, values in data.items()
    }


def _rest(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in ("authors", "pages")}


def to_bibtex(citations: Sequence[Citation]) -> str:
    """Return the content of a BibTeX file."""
    return "\n\n".join(citation.reference.bibtex for citation in citations) + ("\n" if citations else "")


def find_citations(
    runs: Sequence[Run], *, families: Mapping[str, str] | None = None, distorted: bool = False
) -> list[Citation]:
    """Return what the finished ones of some calculations used.

    Parameters
    ----------
    runs
        The calculations; those without a result used nothing yet.
    families
        Name of the published set that a pseudopotential belongs to, by checksum.
    distorted
        Whether some of them started from a structure distorted around a defect.
    """
    found: dict[str, list[str]] = {"mosquera2023": ["distorted starting structures"]} if distorted else {}
    for run in (run for run in runs if run.result):
        for key, why in _used(run, families or {}):
            if why not in found.setdefault(key, []):
                found[key].append(why)
    known = references()
    return [Citation(known[key], "; ".join(found[key])) for key in known if key in found]


_CODES = {
    "espresso": (("giannozzi2009", "Quantum ESPRESSO"), ("giannozzi2017", "Quantum ESPRESSO")),
    "vasp": (
        ("kresse1996prb", "VASP"),
        ("kresse1996cms", "VASP"),
        ("bloechl1994paw", "projector augmented waves (PAW)"),
        ("kresse1999", "PAW in VASP"),
    ),
}  # fmt: skip
_FUNCTIONALS = {"PBE": ("perdew1996", "functional PBE"), "PBEsol": ("perdew2008", "functional PBEsol")}
_SMEARINGS = {
    "cold": ("marzari1999", "cold smearing"),
    "methfessel-paxton": ("methfessel1989", "Methfessel-Paxton smearing"),
    "tetrahedra": ("bloechl1994tetrahedra", "tetrahedron integration"),
}
_STEPS = {
    "response": (
        ("timrov2018", "U by density-functional perturbation theory"),
        ("timrov2022", "hp.x"),
        ("cococcioni2005", "U by linear response"),
    ),
    "shift": (("cococcioni2005", "U by linear response"),),
    "potential": (("baldereschi1988", "macroscopic average of the potential"),),
}  # fmt: skip
_DIPOLES = {"espresso": "bengtsson1999", "vasp": "neugebauer1992"}
"""The papers that the manuals name: pw.x of dipfield, VASP of LDIPOL."""


def _used(run: Run, families: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Return what one calculation used: key of a reference, and for what."""
    settings = run.settings
    yield from _CODES.get(run.code, ())
    if settings.get("xc") in _FUNCTIONALS:
        yield _FUNCTIONALS[settings["xc"]]
    yield from _hubbard(run)
    if settings.get("smearing") in _SMEARINGS:
        yield _SMEARINGS[settings["smearing"]]
    mesh = settings.get("kpoints")
    if isinstance(mesh, list) and any(count > 1 for count in mesh):
        yield "monkhorst1976", "k-point meshes"
    yield from _STEPS.get(run.step, ())
    if settings.get("dipole"):
        yield _DIPOLES.get(run.code, "bengtsson1999"), "dipole correction"
    for checksum in (run.request.get("pseudopotentials") or {}).values():
        if families.get(str(checksum), "").startswith("pseudodojo"):
            yield "vansetten2018", "pseudopotentials of PseudoDojo"
            yield "hamann2013", "norm-conserving pseudopotentials (ONCV)"
    yield from _programs(run)


def _hubbard(run: Run) -> Iterator[tuple[str, str]]:
    told = [(shell[2], shell[3] if len(shell) > 3 else {}) for shell in run.request.get("hubbard") or []]
    shells = [more for value, more in told if value or any(one for _, one in more.get("layers", ()))]
    with_j = [more for more in shells if more.get("j") is not None]
    if with_j:
        yield "liechtenstein1995", "DFT+U with U and J"
    if len(with_j) < len(shells):
        yield "dudarev1998", "DFT+U with an effective U"
        if run.code == "espresso":
            yield "cococcioni2005", "DFT+U in Quantum ESPRESSO"


def _programs(run: Run) -> Iterator[tuple[str, str]]:
    yield "ong2013", "structures (pymatgen)"
    yield "togo2024", "symmetry (spglib)"
    if run.watched:
        yield "jain2015", "queue (FireWorks)"
        yield "ong2013", "supervision of the runs (Custodian)"
    if run.step == "bands":
        yield "larsen2017", "path of the bands (ASE)"
