from __future__ import annotations

import re
from pathlib import Path

import pytest

from heterodft.analysis.report.citations import find_citations, references, to_bibtex
from heterodft.analysis.report.runs import Run

APS = re.compile(r"10\.1103/(PhysRev(?:Lett|B))\.(\d+)\.(\w+)")
JOURNALS = {"PhysRevLett": "Phys. Rev. Lett.", "PhysRevB": "Phys. Rev. B"}


def run(*, code="espresso", step="static", finished=True, watched=True, **request):
    settings = {"xc": "PBE", "kpoints": [2, 2, 1], "smearing": "cold"} | request.pop("settings", {})
    body = {"code": code, "step": step, "settings": settings} | request
    return Run(Path("runs"), "0", {}, body, {"code": code} if finished else {}, watched)


def keys(*runs, **options):
    return {citation.reference.key for citation in find_citations(runs, **options)}


def test_a_doi_of_the_physical_review_names_the_journal_the_volume_and_the_page():
    told = [(APS.fullmatch(one.doi), one) for one in references().values() if one.doi.startswith("10.1103/")]
    assert len(told) > 12
    for found, reference in told:
        assert (JOURNALS[found[1]], int(found[2]), found[3]) == (
            reference.journal,
            reference.volume,
            reference.pages.partition("-")[0],
        )


def test_only_what_was_used_is_cited():
    assert keys(run()) == {
        "giannozzi2009", "giannozzi2017", "perdew1996", "marzari1999", "monkhorst1976", "ong2013", "togo2024",
        "jain2015",
    }  # fmt: skip
    assert keys(run(finished=False)) == set()
    assert "jain2015" not in keys(run(watched=False))
    assert "monkhorst1976" not in keys(run(settings={"kpoints": [1, 1, 1]}))


@pytest.mark.parametrize(
    ("request_", "cited"),
    [
        ({"settings": {"xc": "PBEsol"}}, {"perdew2008"}),
        ({"settings": {"smearing": "tetrahedra"}}, {"bloechl1994tetrahedra"}),
        ({"settings": {"dipole": True}}, {"bengtsson1999"}),
        (
            {"code": "vasp", "settings": {"dipole": True}},
            {"neugebauer1992", "kresse1996prb", "kresse1996cms", "bloechl1994paw", "kresse1999"},
        ),
        ({"hubbard": [["Ti", "3d", 4.0]]}, {"dudarev1998", "cococcioni2005"}),
        ({"hubbard": [["Ti", "3d", 0.0]]}, set()),
        ({"hubbard": [["Ti", "3d", 0.0, {"layers": [["SrTiO3:1", 2.0]]}]]}, {"dudarev1998", "cococcioni2005"}),
        ({"hubbard": [["Ti", "3d", 4.0, {"j": 0.9}]]}, {"liechtenstein1995"}),
        ({"step": "response"}, {"timrov2018", "timrov2022", "cococcioni2005"}),
        ({"step": "potential"}, {"baldereschi1988"}),
        ({"step": "bands"}, {"larsen2017"}),
        ({"code": "vasp"}, {"kresse1996prb", "kresse1996cms", "bloechl1994paw", "kresse1999"}),
        ({"pseudopotentials": {"Ti": "abc"}}, {"vansetten2018", "hamann2013"}),
        ({"pseudopotentials": {"Ti": "of another set"}}, set()),
    ],
)
def test_each_method_brings_its_papers(request_, cited):
    assert keys(run(**request_), families={"abc": "pseudodojo-0.4-pbe-sr-standard"}) - keys(run()) == cited


def test_distorted_starts_are_cited():
    assert keys(run(), distorted=True) - keys(run()) == {"mosquera2023"}


def test_the_text_names_every_author_and_the_first_page():
    text = references()["timrov2018"].text
    assert text.startswith("I. Timrov, N. Marzari and M. Cococcioni, Hubbard parameters")
    assert text.endswith("Phys. Rev. B 98, 085127 (2018)")
    assert references()["giannozzi2009"].text.startswith("P. Giannozzi et al., ")


def test_bibtex_has_an_entry_each_and_only_plain_letters():
    text = to_bibtex(find_citations([run(), run(code="vasp", settings={"xc": "PBEsol"})]))
    assert text.count("@article{") == len(keys(run(), run(code="vasp", settings={"xc": "PBEsol"})))
    assert text.isascii()
    assert text.count("{") == text.count("}")
    assert 'Bl{\\"o}chl, P. E.' in text
    assert "pages = {17953--17979}" in text


def test_every_reference_makes_plain_bibtex():
    for reference in references().values():
        assert reference.bibtex.isascii(), reference.key
        assert re.fullmatch(r"10\.\d{4}/\S+", reference.doi)
