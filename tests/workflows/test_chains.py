from __future__ import annotations

import pytest

from heterodft.errors import CalculationError, CampaignError
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import build_chain, hand_over
from heterodft.workflows.configurations import expand


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


def test_the_density_and_occupations_are_copied_and_the_parents_stay(chain, tmp_path):
    source = tmp_path / "static" / "pwscf.save"
    source.mkdir(parents=True)
    for name in ("charge-density.dat", "data-file-schema.xml", "occup.txt", "wfcup1.dat"):
        (source / name).write_text(name)
    (tmp_path / "dos").mkdir()
    hand_over(chain[1], tmp_path / "dos")
    target = tmp_path / "dos" / "pwscf.save"
    assert sorted(p.name for p in target.iterdir()) == ["charge-density.dat", "data-file-schema.xml", "occup.txt"]
    (target / "data-file-schema.xml").write_text("overwritten by the nscf")
    assert (source / "data-file-schema.xml").read_text() == "data-file-schema.xml"


def test_a_parent_without_density_is_an_error(chain, tmp_path):
    with pytest.raises(CalculationError, match="holds no charge density"):
        hand_over(chain[1], tmp_path / "dos")


def test_an_element_without_pseudopotential_names_structure_and_element(tiny_file):
    tiny_file.write_text(tiny_file.read_text().replace("SrTiO3", "AcTiO3"))
    campaign = load_campaign(tiny_file)
    with pytest.raises(CampaignError, match=r"tiny\.yaml:6: structures\.bulk: .*no pseudopotential for Ac"):
        build_chain(campaign, expand(campaign)[0])
