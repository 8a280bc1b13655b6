"""From a campaign file to input files: directions of moments, charges, slabs, what a step takes over."""

from __future__ import annotations

import pytest
from pymatgen.io.vasp import Incar

from heterodft.errors import CampaignError, InputError
from heterodft.workflows.calculation import read_request, write_request
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import campaign_chains
from heterodft.workflows.inputs import prepare_inputs
from heterodft.workflows.settings_file import load_settings

BASE = """\
name: c
code: vasp
materials:
  SrTiO3: {prototype: perovskite, a: 3.905}
  LaAlO3: {prototype: perovskite, a: 3.79}
structures:
  sl: {stack: [{material: SrTiO3, layers: 1}, {material: LaAlO3, layers: 1}], in_plane: SrTiO3}
magnetism: {orders: [NM, FM], moments: {Ti: 1.0}}
method: {protocol: balanced}
steps: [relax, static, dos]
"""


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    """Requests and decks of a changed campaign, by path."""
    monkeypatch.setenv("PMG_CONFIG_FILE", str(tmp_path / "none.yaml"))
    monkeypatch.delenv("PMG_VASP_PSP_DIR", raising=False)

    def made(*changes):
        text = BASE
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "c.yaml"
        path.write_text(text)
        notes = []
        chains = campaign_chains(load_campaign(path), notes=notes)
        requests = [request for chain in chains for request in chain]
        decks = {r.path.partition("/")[2]: prepare_inputs(r, load_settings()) for r in requests}
        return {r.path.partition("/")[2]: r for r in requests}, decks, notes

    return made


def incar(deck):
    return Incar.from_str(deck.files["INCAR"])


def test_each_axis_is_a_configuration_with_its_own_moments(inputs):
    requests, decks, _ = inputs(("{orders", "{spin_orbit: true, axes: [[0, 0, 1], [1, -1, 0]], orders"))
    assert {path.split("/")[1] for path in requests} == {"NM-soc", "FM-soc-001", "FM-soc-1m10"}
    tags = incar(decks["sl/FM-soc-1m10/noU/static"])
    assert (tags["LSORBIT"], tags["ISYM"]) == (True, -1)
    vectors = [v for v in zip(*[iter(_flat(tags["MAGMOM"]))] * 3, strict=True) if any(v)]
    assert vectors == [pytest.approx((2**-0.5, -(2**-0.5), 0), abs=1e-5)]
    assert not any(_flat(incar(decks["sl/NM-soc/noU/static"])["MAGMOM"]))
    assert requests["sl/FM-soc-001/noU/static"].id != requests["sl/FM-soc-1m10/noU/static"].id


def _flat(values):
    return [x for value in values for x in (value if isinstance(value, list | tuple) else [value])]


def test_materials_may_point_in_directions_of_their_own(inputs):
    axes = "{axes: {SrTiO3: [0, 0, 1], LaAlO3: [1, 0, 0]}, moments: {Ti: 1.0, Al: 0.5}, orders: [FM]}"
    requests, decks, _ = inputs(("{orders: [NM, FM], moments: {Ti: 1.0}}", axes))
    request = requests["sl/FM-ncl-SrTiO3.001_LaAlO3.100/noU/static"]
    assert not request.spin_orbit
    assert set(request.directions) == {(0.0, 0.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)}
    assert "LSORBIT" not in incar(decks["sl/FM-ncl-SrTiO3.001_LaAlO3.100/noU/static"])
    with pytest.raises(CampaignError, match="axes: no direction of SrTiO3; give one of each material"):
        inputs(("{orders: [NM, FM]", "{axes: {LaAlO3: [1, 0, 0]}, orders: [FM]"))
    with pytest.raises(CampaignError, match=r"\[0, 0, 0\] is no direction"):
        inputs(("{orders: [NM, FM]", "{axes: [0, 0, 0], orders: [FM]"))


def test_a_charged_cell_needs_to_know_its_electrons_and_keeps_its_lattice(inputs):
    defects = ("in_plane: SrTiO3}", "in_plane: SrTiO3, defects: [{kind: V_O, where: all, charge: [0, 2]}]}")
    with pytest.raises(InputError, match="number of electrons of a charged cell needs the POTCARs"):
        inputs(defects)
    requests, decks, _ = inputs(
        defects, ("code: vasp", "code: espresso"), ("[relax, static, dos]", "[relax, static]")
    )
    charged = next(path for path in requests if "2+" in path or requests[path].charge)
    assert requests[charged].charge == 2
    assert "tot_charge       = 2" in decks[charged].files["pw.in"]
    assert {r.settings.cell for r in requests.values() if r.step == "relax"} == {"fixed"}


def test_every_kind_of_request_survives_its_file(inputs, tmp_path):
    requests, _, _ = inputs(
        ("{orders", "{spin_orbit: true, axes: [[0, 0, 1], [1, 0, 0]], orders"),
        ("method:", 'hubbard: {Ti-3d: [{"SrTiO3:1": 2.0}, {U: 4, J: 0.5}]}\nmethod:'),
        ("[relax, static, dos]", "[relax, static, dos, bands, potential, charge]"),
        ("balanced}", "balanced, vasp: {NCORE: 4, force: {ISYM: 0}}}"),
    )
    for number, request in enumerate(requests.values()):
        write_request(request, tmp_path / str(number))
        back = read_request(tmp_path / str(number))
        assert back == request
        assert back.id == request.id
        assert back.settings.to_dict() == request.settings.to_dict()


def test_a_slab_has_one_point_across_its_vacuum_a_dipole_and_a_fixed_cell(inputs):
    requests, _decks, notes = inputs(("in_plane: SrTiO3}", "in_plane: SrTiO3, vacuum: 12}"))
    for request in requests.values():
        assert request.settings.kpoints[2] == 1
        assert request.settings.dipole
        assert request.settings.cell in (None, "fixed")
    assert not notes
    _, _, notes = inputs(
        ("in_plane: SrTiO3}", "in_plane: SrTiO3, vacuum: 12}"), ("balanced}", "balanced, kpoints: [4, 4, 4]}")
    )
    assert set(notes) == {"sl: more than one k-point across its vacuum costs time and changes nothing"}


def test_a_symmetric_slab_has_no_dipole(inputs):
    requests, _, _ = inputs(
        ("in_plane: SrTiO3}", "in_plane: SrTiO3, vacuum: 12, symmetric: true}"),
        ("{orders: [NM, FM]", "{orders: [NM]"),
    )
    assert {request.settings.dipole for request in requests.values()} == {None}


def test_all_orders_and_defects_of_a_structure_have_one_mesh(inputs):
    defects = ("in_plane: SrTiO3}", "in_plane: SrTiO3, supercell: [2, 1], defects: [{kind: V_O, where: all}]}")
    requests, _, _ = inputs(defects)
    assert len({path.split("/")[0] for path in requests}) > 3
    for step in ("relax-coarse", "relax", "static", "dos"):
        assert len({request.settings.kpoints for request in requests.values() if request.step == step}) == 1


def test_wavefunctions_go_on_only_to_the_same_mesh(inputs):
    _, decks, _ = inputs()
    assert incar(decks["sl/FM/noU/static"])["ISTART"] == 1
    _, decks, _ = inputs(("relax, static", "relax, {static: {kspacing: 0.2}}"))
    tags = incar(decks["sl/FM/noU/static"])
    assert (tags["ISTART"], tags["ICHARG"]) == (0, 1)


def test_numbers_in_fortrans_spelling_are_numbers(inputs):
    requests, _, _ = inputs(("balanced}", "balanced, vasp: {POTIM: 1d-1, LASPH: .TRUE., NCORE: 4}}"))
    assert next(iter(requests.values())).settings.raw == {"POTIM": 0.1, "LASPH": True, "NCORE": 4}


def test_a_cutoff_of_one_code_leaves_the_other_to_its_protocol(inputs):
    requests, _, _ = inputs(("balanced}", "balanced, cutoff: {espresso: 50 Ry}}"))
    request = requests["sl/FM/noU/static"]
    assert (request.settings.cutoff, request.settings.origin["cutoff"]) == (520.0, "protocol balanced")


def test_potcars_of_the_lda_are_refused_for_pbe(inputs, monkeypatch):
    monkeypatch.setenv("PMG_DEFAULT_FUNCTIONAL", "LDA_54")
    with pytest.raises(CampaignError, match="POTCARs of LDA_54 would turn PBE into another functional"):
        inputs()


def test_a_step_on_a_given_density_has_its_cutoff(inputs):
    with pytest.raises(CampaignError, match="dos: cutoff is that of the density it starts from"):
        inputs(("static, dos]", "static, {dos: {cutoff: 600 eV}}]"))


def test_a_slab_does_not_shrink_and_matter_gets_no_dipole_layer(inputs):
    slab = ("in_plane: SrTiO3}", "in_plane: SrTiO3, vacuum: 12}")
    with pytest.raises(CampaignError, match="cell: c would shrink the vacuum of a slab"):
        inputs(slab, ("balanced}", "balanced, cell: c}"))
    with pytest.raises(CampaignError, match="dipole: true on a cell without vacuum"):
        inputs(("in_plane: SrTiO3}", "in_plane: SrTiO3, method: {dipole: true}}"))
    _, decks, _ = inputs(("balanced}", "balanced, dipole: true}"))  # meant for slabs of the campaign
    assert "LDIPOL" not in incar(decks["sl/FM/noU/static"])


def test_the_charge_of_a_magnetic_slab_is_mixed_with_screening(inputs):
    _, decks, _ = inputs(("in_plane: SrTiO3}", "in_plane: SrTiO3, vacuum: 12}"))
    tags = incar(decks["sl/FM/noU/static"])
    assert tags["AMIN"] == 0.01
    assert "BMIX" not in tags  # linear mixing would switch AMIN off
    _, decks, _ = inputs()
    assert incar(decks["sl/FM/noU/static"])["BMIX"] == 1e-4


def test_numbers_without_use_are_told(inputs):
    _, _, notes = inputs(
        ("balanced}", "balanced, density_cutoff: 2000 eV}"), ("static, dos]", "static, {dos: {mixing: 0.5}}]")
    )
    assert "density_cutoff of method has no use in vasp here" in notes
    _, _, notes = inputs(("in_plane: SrTiO3}", "in_plane: SrTiO3, method: {screening: local}}"))
    assert "sl: screening has no use in vasp here" in notes
    _, _, notes = inputs(("[NM, FM]", "[NM]"), ("orders", "axes: [0, 0, 1], orders"))
    assert "sl: axes mean nothing to NM without spin_orbit" in notes


def test_a_total_moment_beside_nm_is_refused(inputs):
    with pytest.raises(InputError, match="NUPDOWN = 1 contradicts the request: it is set by the magnetic order"):
        inputs(("[NM, FM]", "[NM]"), ("balanced}", "balanced, vasp: {NUPDOWN: 1}}"))


def test_a_raw_setting_is_one_line(inputs):
    with pytest.raises(CampaignError, match="a raw setting is one line"):
        inputs(("balanced}", 'balanced, vasp: {IVDW: "11\\nISPIN = 2"}}'))


def test_ways_of_computing_are_the_users_to_choose(inputs):
    _, decks, _ = inputs(("balanced}", "balanced, vasp: {algo: Fast, LWAVE: false}}"))
    tags = incar(decks["sl/FM/noU/static"])
    assert (tags["ALGO"], tags["LWAVE"]) == ("Fast", False)


def test_a_low_cutoff_asks_whether_rydberg_were_meant(inputs):
    with pytest.raises(CampaignError, match="a cutoff of 40 eV is too low for any pseudopotential; was 40 Ry meant"):
        inputs(("balanced}", "balanced, cutoff: 40}"))


def test_potcars_of_an_element_that_is_not_there_are_a_slip(inputs):
    with pytest.raises(CampaignError, match=r"method\.potcars\.Zr: no structure holds Zr"):
        inputs(("balanced}", "balanced, potcars: {Zr: Zr_sv}}"))
