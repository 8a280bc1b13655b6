"""States with equal moments and other occupied orbitals: what the state contract says of them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from heterodft.analysis.result import HubbardOccupations, Result, SiteValues
from heterodft.workflows.calculation import read_request, write_request
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import campaign_chains
from heterodft.workflows.drivers.variants import as_variant, start_from
from heterodft.workflows.state.contract import state_record

CAMPAIGN = """\
name: feo
materials:
  FeO: {prototype: rocksalt, a: 4.30}
structures:
  bulk: {stack: [{material: FeO, layers: 2}], normal: [0, 0, 1]}
magnetism: {orders: [FM], moments: {Fe: 4.0}}
hubbard: {Fe-3d: 4.0}
method: {protocol: fast, cutoff: 30 Ry, kspacing: 1.2}
steps: [relax, static]
"""
UP = [1.0, 1.0, 1.0, 1.0, 1.0]
IN_XY, IN_Z2, SPREAD = [0.1, 0.1, 0.1, 0.1, 0.9], [0.9, 0.1, 0.1, 0.1, 0.1], [0.26] * 5


@pytest.fixture
def chain(tmp_path):
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    return campaign_chains(load_campaign(tmp_path / "c.yaml"))[0]


def finish(request, runs, down, *, moment=3.7):
    """Save a result with one electron of Fe in the orbitals given, in every order with the same moments."""
    structure = request.to_structure()
    iron = [i for i, site in enumerate(structure) if site.specie.symbol == "Fe"]
    moments = tuple(moment if i in iron else 0.0 for i in range(len(structure)))
    result = Result(
        code="espresso", version="6.7", step=request.step, structure=structure, electrons=None, energy=-100.0,
        fermi_levels=(0.0,), total_moment=sum(moments), absolute_moment=sum(moments),
        sites={"sphere": SiteValues("sphere", moments, moments)}, converged=True, iterations=1, accuracy=0.0,
        cpu_seconds=1.0, wall_seconds=1.0,
        occupations=tuple(HubbardOccupations(i, "3d", np.stack([np.diag(UP), np.diag(down)])) for i in iron),
    )  # fmt: skip
    folder = runs / request.path
    write_request(request, folder)
    record = state_record(request, result, folder)
    data = json.loads(request.to_text()) | {"state": record}
    replace(result, request=data).save(folder)
    return record


def test_the_record_holds_the_electrons_of_each_shell(chain, tmp_path):
    record = finish(chain[0], tmp_path, IN_XY)
    assert record["verdict"] == "kept"
    assert [row[1:] for row in record["occupations"]] == [["3d", 5.0, 1.3]] * 2
    assert read_request(tmp_path / chain[0].path).id == chain[0].id


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (IN_XY, IN_XY, None),
        (IN_XY, SPREAD, "its Hubbard occupations are not those of the relax step whose density it starts from, "
         "though the moments agree: Fe1, Fe3"),
        (IN_XY, IN_Z2, "its occupied orbitals are turned against those of the relax step whose density it starts "
         "from, though the moments agree"),
    ],
)  # fmt: skip
def test_other_orbitals_after_a_relaxation_are_told_though_the_moments_agree(chain, tmp_path, before, after, words):
    relax, static = chain
    finish(relax, tmp_path, before)
    record = finish(static, tmp_path, after)
    assert record["verdict"] == "kept"
    assert record.get("notes", []) == ([] if words is None else [words])
    assert record["before"]["checked"] == ["moments", "Hubbard occupations"]
    assert record["before"]["same"] is (words is None)


@pytest.mark.parametrize(("shift", "told"), [(0.15, False), (0.3, True)])
def test_a_start_from_another_u_may_change_occupations_more(chain, tmp_path, shift, told):
    [static] = [replace(chain[1], parent=None, about={**chain[1].about, "parent_folder": ""})]
    other = replace(static.hubbard[0], value=static.hubbard[0].value + 1.0)
    (changed,) = as_variant([replace(static, hubbard=(other,))], "feo.hubbard", "up")
    (changed,) = start_from([changed], static)
    finish(static, tmp_path, IN_XY)
    moved = [x + (shift if i == 0 else 0.0) for i, x in enumerate(IN_XY)]
    record = finish(changed, tmp_path, moved)
    assert bool(record.get("notes")) is told
    assert record["before"]["checked"] == ["moments", "Hubbard occupations"]


def test_where_the_moments_differ_only_they_are_told(chain, tmp_path):
    relax, static = chain
    finish(relax, tmp_path, IN_XY)
    record = finish(static, tmp_path, SPREAD, moment=2.0)
    assert len(record["notes"]) == 1
    assert record["notes"][0].startswith("its moments are not those of the relax step")
