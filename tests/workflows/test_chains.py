from __future__ import annotations

import json

import pytest

from heterodft.analysis.result import Result
from heterodft.errors import CalculationError, CampaignError
from heterodft.workflows.calculation import write_request
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import build_chain, campaign_chains
from heterodft.workflows.configurations import expand
from heterodft.workflows.handover import hand_over, relaxed_structure


@pytest.fixture
def chain(demo_file):
    campaign = load_campaign(demo_file)
    return build_chain(campaign, expand(campaign)[0])


def test_each_step_names_the_one_whose_density_it_starts_from(chain):
    static, dos = chain
    assert static.parent is None
    assert dos.parent == static.id
    assert dos.about["parent_folder"] == "../static"


def test_the_dos_mesh_is_denser_and_tells_where_its_numbers_come_from(chain):
    static, dos = chain
    assert (static.settings.kpoints, static.settings.shift) == ((2, 2, 1), (1, 1, 0))
    assert (dos.settings.kpoints, dos.settings.shift) == ((3, 3, 2), (0, 0, 0))
    assert static.settings.origin["cutoff"] == "campaign"
    assert static.settings.origin["kpoints"] == "protocol fast"


def test_a_value_of_a_step_wins_over_the_campaign_and_says_so(tiny_file):
    campaign = load_campaign(tiny_file)
    _, dos = build_chain(campaign, expand(campaign)[0])
    assert dos.settings.kpoints == (2, 2, 2)
    assert dos.settings.origin["kspacing"] == "step"


@pytest.fixture
def static(chain, tmp_path):
    """A finished static step, as far as the next one looks at it."""
    folder = tmp_path / "static"
    (folder / "pwscf.save").mkdir(parents=True)
    for name in ("charge-density.dat", "data-file-schema.xml", "occup.txt", "wfcup1.dat"):
        (folder / "pwscf.save" / name).write_text(name)
    (folder / "result.json").write_text(json.dumps({"id": chain[0].id}))
    (folder / "result.npz").write_bytes(b"")
    (tmp_path / "dos").mkdir()
    return folder


def test_the_density_and_occupations_are_copied_and_the_parents_stay(chain, static, tmp_path):
    hand_over(chain[1], tmp_path / "dos")
    target = tmp_path / "dos" / "pwscf.save"
    assert sorted(p.name for p in target.iterdir()) == ["charge-density.dat", "data-file-schema.xml", "occup.txt"]
    (target / "data-file-schema.xml").write_text("overwritten by the nscf")
    assert (static / "pwscf.save" / "data-file-schema.xml").read_text() == "data-file-schema.xml"


def test_a_parent_without_density_is_an_error(chain, static, tmp_path):
    (static / "pwscf.save" / "charge-density.dat").unlink()
    with pytest.raises(CalculationError, match="holds no charge density; submit the campaign again"):
        hand_over(chain[1], tmp_path / "dos")


def test_the_density_of_another_calculation_is_not_taken(chain, static, tmp_path):
    (static / "result.json").write_text(json.dumps({"id": "another"}))
    with pytest.raises(CalculationError, match="does not hold the step that this one starts from"):
        hand_over(chain[1], tmp_path / "dos")


def test_two_configurations_of_one_name_are_refused_and_the_same_one_counts_once(tiny_file):
    text = tiny_file.read_text()
    tiny_file.write_text(text.replace("Ti-3d: 4.0", "Ti-3d: [12.12345, 12.12346]"))
    with pytest.raises(CampaignError, match="two different configurations are both called tiny/bulk/NM"):
        campaign_chains(load_campaign(tiny_file))
    tiny_file.write_text(text.replace("[NM, FM]", "[FM, FM]"))
    assert len(campaign_chains(load_campaign(tiny_file))) == 1


def test_what_a_structure_says_wins_over_the_campaign(tiny_file):
    text = tiny_file.read_text()
    text = text.replace("kspacing: 1.7", "kpoints: [3, 3, 3], espresso: {diagonalization: cg}")
    own = "layers: 1}], method: {kspacing: 0.9, cutoff: 25 Ry, espresso: {nosym: true}}}"
    tiny_file.write_text(text.replace("layers: 1}]}", own))
    campaign = load_campaign(tiny_file)
    static, _ = build_chain(campaign, expand(campaign)[0])
    assert static.settings.kpoints == (2, 2, 2)
    assert static.settings.origin["kpoints"] == "structure"
    assert static.settings.raw == {"diagonalization": "cg", "nosym": True}
    assert static.settings.density_cutoff == pytest.approx(4 * static.settings.cutoff)


def test_a_density_cutoff_below_four_cutoffs_is_refused(tiny_file):
    tiny_file.write_text(tiny_file.read_text().replace("cutoff: 20 Ry", "cutoff: 20 Ry, density_cutoff: 60 Ry"))
    campaign = load_campaign(tiny_file)
    with pytest.raises(CampaignError, match="is below four times the cutoff"):
        build_chain(campaign, expand(campaign)[0])


def test_an_element_without_pseudopotential_names_structure_and_element(tiny_file):
    tiny_file.write_text(tiny_file.read_text().replace("SrTiO3", "AcTiO3"))
    campaign = load_campaign(tiny_file)
    with pytest.raises(CampaignError, match=r"tiny\.yaml:6: structures\.bulk: .*no pseudopotential for Ac"):
        build_chain(campaign, expand(campaign)[0])


def test_a_step_below_a_relaxed_static_step_has_its_structure_wherever_that_lies(tiny_file, tmp_path):
    text = tiny_file.read_text().replace("[static, {dos: {kspacing: 0.9}}]", "[relax, static, bands]")
    tiny_file.write_text(text)
    campaign = load_campaign(tiny_file)
    chain = {request.step: request for request in build_chain(campaign, expand(campaign)[0])}
    moved = chain["static"].to_structure()
    moved.translate_sites([1], [0, 0, 0.01])
    elsewhere = tmp_path / "other" / "static"  # shared with another campaign, whose relax folder is not beside it
    write_request(chain["static"], elsewhere)
    result = Result(
        "espresso", "6.7", "static", moved, 32.0, -1.0, (0.0,), None, None, {}, True, 1, 0.0, 1.0, 1.0,
        request={"id": chain["static"].id},
    )  # fmt: skip
    result.save(elsewhere)
    own = tmp_path / "own"
    own.mkdir()
    (own / "static").symlink_to(elsewhere, target_is_directory=True)
    (own / "bands").mkdir()
    found = relaxed_structure(chain["bands"], own / "bands")
    assert found.frac_coords[1, 2] == pytest.approx(moved.frac_coords[1, 2])
    assert found.site_properties == chain["bands"].to_structure().site_properties


def test_branches_of_a_chain_start_from_the_static_step(tiny_file):
    tiny_file.write_text(tiny_file.read_text().replace("{dos: {kspacing: 0.9}}", "dos, bands, charge"))
    campaign = load_campaign(tiny_file)
    static, *others = build_chain(campaign, expand(campaign)[0])
    assert {request.parent for request in others} == {static.id}
