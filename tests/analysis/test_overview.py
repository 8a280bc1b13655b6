from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import figure_quantities as given
import numpy as np
import pandas as pd
import pytest

from heterodft.analysis import find_layering, overview, overview_files, sections
from heterodft.analysis.overview import FolderOverview
from heterodft.analysis.plain_data import plain
from heterodft.analysis.plots import draw_profile
from heterodft.analysis.result import Bands, Result
from heterodft.analysis.sections import Section, table_columns
from heterodft.analysis.step_folders import distinct_names
from heterodft.errors import ReaderError

LABELS = ["SrTiO3:1", "LaAlO3:1"]


def result(**changes):
    cell = given.cell(2)
    bands = Bands(np.array([[[-1.0, 2.0]]]), np.array([[[1.0, 0.0]]]), np.zeros((1, 3)), np.ones(1))
    told = {
        "code": "vasp", "version": "6.4", "step": "static", "structure": cell.copy(), "electrons": 2.0,
        "energy": -12.5, "fermi_levels": (0.0,), "total_moment": 0.5, "absolute_moment": None, "sites": {},
        "converged": True, "iterations": 3, "accuracy": 0.0, "cpu_seconds": 1.0, "wall_seconds": 1.0,
        "bands": bands, "notes": ("made up",),
    }  # fmt: skip
    return Result(**told | changes)


@dataclass
class Moments:
    """A quantity as the package has them."""

    groups: tuple
    values: np.ndarray
    columns = ("sphere",)
    quantity, unit = "moment", "μB"
    notes = ("of a test",)

    @classmethod
    def from_result(cls, result, *, layering, by):
        groups = layering.layers if by == "layer" else layering.planes
        return cls(groups, np.arange(1.0, len(groups) + 1)[:, None])

    def to_frame(self):
        return pd.DataFrame({"layer": [g.label for g in self.groups], "moment (μB)": self.values[:, 0]})

    def to_dict(self):
        return {"moments": self.values.tolist()}

    def plot(self):
        return draw_profile(self)


def refused(source):
    raise ReaderError("no projections; run a dos step")


def made(source):
    return {"": lambda: Moments.from_result(source.result, layering=source.layering, by=source.by)}


@pytest.fixture
def own_sections(monkeypatch):
    """Two quantities, one of which cannot be made."""
    columns = sections._frame_columns("moment")
    given_sections = (
        Section("moments", "moments by layer", made, columns),
        Section("dos", "density of states", refused),
        Section("bands", "bands", lambda _: {}),
    )
    monkeypatch.setattr(overview, "SECTIONS", given_sections)


@pytest.mark.usefixtures("own_sections")
def test_what_can_be_made_is_made_and_the_rest_says_why(tmp_path):
    found = FolderOverview.from_result(result(), folder=tmp_path)
    assert list(found.quantities) == ["moments"]
    assert found.missing == {"density of states": "no projections; run a dos step"}
    assert found.columns == {"moment (μB)": [1.0, 2.0]}
    assert found.notes == ["made up", "of a test"]
    frame = found.to_frame()
    assert frame["layer"].tolist() == LABELS
    assert list(frame) == ["layer", "formula", "height (Å)", "moment (μB)"]
    planes = FolderOverview.from_result(result(), folder=tmp_path, by="plane").to_frame()
    assert planes["plane"].tolist()[:2] == ["SrTiO3:1 SrO", "SrTiO3:1 TiO2"]


@pytest.mark.usefixtures("own_sections")
def test_its_json_has_plain_keys_and_plain_data(tmp_path):
    data = FolderOverview.from_result(result(), folder=tmp_path).to_dict()
    keys = ("code", "formula", "energy", "gap", "metal", "moment", "fermi_level", "converged", "ended", "by")
    assert [data[key] for key in keys] == [
        "vasp", "Sr1 La1 Ti1 Al1 O6", -12.5, 3.0, False, 0.5, 0.0, True, "finished", "layer",
    ]  # fmt: skip
    assert data["layers"][1]["layer"] == "LaAlO3:1"
    assert json.loads(json.dumps(data, allow_nan=False)) == data


@pytest.mark.usefixtures("own_sections")
def test_files_are_written_into_a_folder_of_their_own(tmp_path):
    source = tmp_path / "run"
    source.mkdir()
    written = FolderOverview.from_result(result(), folder=source).save(tmp_path / "out")
    ends = ("csv", "pdf", "png", "svg")
    expected = ["analysis.json", *(f"cell.{e}" for e in ends), "layers.csv", *(f"moments.{e}" for e in ends)]
    assert sorted(path.name for path in written) == sorted(expected)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(expected)
    assert not list(source.iterdir())
    assert pd.read_csv(tmp_path / "out" / "moments.csv")["moment (μB)"].tolist() == [1.0, 2.0]
    assert pd.read_csv(tmp_path / "out" / "cell.csv")["element"].tolist()[0] == "Sr"


@pytest.mark.usefixtures("own_sections")
def test_a_quantity_with_nothing_to_draw_leaves_its_numbers(tmp_path, monkeypatch):
    def unknown(result, *, layering, by):
        return Moments(layering.layers, np.full((2, 1), np.nan))

    monkeypatch.setattr(Moments, "from_result", unknown)
    written = FolderOverview.from_result(result(), folder=tmp_path).save(tmp_path / "out")
    assert [path.name for path in written if path.stem == "moments"] == ["moments.csv"]


def test_a_run_without_bands_or_layers_is_told_as_far_as_it_goes(tmp_path, monkeypatch):
    def no_layers(structure):
        raise ReaderError("layers cannot be told")

    monkeypatch.setattr(overview, "find_layering", no_layers)
    found = FolderOverview.from_result(result(bands=None, fermi_levels=(), energy=None), folder=tmp_path)
    assert found.missing["layers"] == "layers cannot be told"
    data = found.to_dict()
    assert (data["gap"], data["fermi_level"], data["energy"], data["layers"]) == (None, None, None, [])
    assert [path.name for path in found.save(tmp_path / "out")] == ["analysis.json"]


def test_layers_that_the_user_asked_for_and_that_do_not_fit_are_an_error(tmp_path, monkeypatch):
    def refuse(structure, *, layers):
        raise ReaderError(f"layers '{layers}': there is no atom 99")

    monkeypatch.setattr(overview, "find_layering", refuse)
    with pytest.raises(ReaderError, match="no atom 99"):
        FolderOverview.from_result(result(), folder=tmp_path, layers="1-99")


def test_several_rows_a_layer_become_columns_that_say_what_they_are():
    frame = pd.DataFrame(
        {
            "layer": ["SrTiO3:1", "SrTiO3:1", "LaAlO3:1", "LaAlO3:1", "cell"],
            "formula": ["SrTiO3", "SrTiO3", "LaAlO3", "LaAlO3", ""],
            "spin": ["up", "down", "up", "down", "up"],
            "edge (eV)": [1.0, 2.0, 3.0, np.nan, 9.0],
            "height (Å)": [0.0, 0.0, 4.0, 4.0, 0.0],
            "metallic": [True, False, True, False, True],
        }
    )
    found = table_columns(frame, LABELS)
    assert list(found) == ["edge (eV), up", "edge (eV), down"]
    assert found["edge (eV), up"] == [1.0, 3.0]
    assert found["edge (eV), down"][0] == 2.0
    assert np.isnan(found["edge (eV), down"][1])


def test_frames_that_are_no_profile_give_no_columns():
    assert table_columns(pd.DataFrame({"energy (eV)": [1.0]}), LABELS) == {}
    assert table_columns(pd.DataFrame({"layer": ["SrTiO3:1"], "x": [1.0]}), LABELS) == {}
    long = pd.DataFrame({"layer": LABELS * 100, "x": np.arange(200.0)})
    assert table_columns(long, LABELS) == {}


def test_each_section_names_a_quantity_once():
    names = [section.name for section in sections.SECTIONS]
    assert len(names) == len(set(names))
    source = sections.Source(Path("nowhere"), result(), None)
    for section in sections.SECTIONS:
        try:
            assert not section.variants(source)
        except ReaderError as error:
            assert "need the layers" in str(error)  # noqa: PT017, both are right


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/r/sl/FM/static", "/r/sl/AFM-G/static"], ["FM", "AFM-G"]),
        (["/r/a/x", "/r/b/y"], ["a_x", "b_y"]),
        (["/r/a", "/r/a/b"], ["a", "a_b"]),
        (["/r/a/b", "/r/a"], ["a_b", "a"]),
        (["/r/a/vasprun.xml"], ["vasprun.xml"]),
        (["/r/a/x", "/r/a/x"], ["x", "x-2"]),
    ],
)
def test_folders_are_called_by_what_tells_them_apart(paths, names):
    assert distinct_names([Path(path) for path in paths]) == names


def test_plain_data_has_no_infinities_arrays_or_tuples():
    data = {"a": (1, np.float64("nan")), "b": np.array([1.0, np.inf]), 3: SimpleNamespace is None}
    assert plain(data) == {"a": [1, None], "b": [1.0, None], "3": False}


def test_bands_of_a_configuration_are_drawn_from_the_level_of_the_mesh(tmp_path, monkeypatch):
    path = Bands(
        np.array([[[-0.8, 2.4], [-0.9, 2.2]]]), np.array([[[1.0, 0.0]] * 2]), np.eye(3)[:2] / 2, np.full(2, 0.5)
    )
    steps = {
        "static": result(),
        "bands": result(bands=replace(path, labels=("G", "X")), energy=None, step="bands"),
    }
    for step in steps:
        (tmp_path / step).mkdir()
        (tmp_path / step / "request.json").write_text(json.dumps({"request": {"step": step}}))
    monkeypatch.setattr(overview, "read_folder", lambda folder, projections=False: steps[folder.name])
    alone, together = FolderOverview.read(tmp_path / "bands"), FolderOverview.read(tmp_path)
    assert alone.quantities["bands"].reference == pytest.approx(0.7)
    assert together.quantities["bands"].reference == pytest.approx(0.5)
    assert together.quantities["bands"].energies[0, 0, 0] == pytest.approx(-1.3)
    assert (together.gap_step, together.gap.value) == ("static", 3.0)
    assert (together.result.step, together.result.energy) == ("static", -12.5)


def test_profiles_that_are_zero_everywhere_leave_only_their_numbers(tmp_path):
    groups = find_layering(result().structure).layers
    found = FolderOverview.from_result(result(), folder=tmp_path)
    nothing = replace(found, quantities={"moments": Moments(groups, np.zeros((2, 1)))})
    assert [path.name for path in nothing.save(tmp_path / "out") if path.stem == "moments"] == ["moments.csv"]


def test_the_side_view_marks_the_vacancy_that_the_request_tells(tmp_path):
    defect = {"kind": "V_O", "position": [1.95, 1.95, 0.0]}
    with_defect = overview_files._with_defect(result(request={"about": {"defect": defect}}))
    assert with_defect.properties["defect"] == defect
    assert not overview_files._with_defect(result()).properties.get("defect")
