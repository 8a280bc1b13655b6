from __future__ import annotations

import figure_quantities as given
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from heterodft.analysis.plots import draw_density_slice, draw_profile, save_figure
from heterodft.errors import StorageError


def frame(profile):
    labels = [group.label for group in profile.groups]
    numbers = {f"moment, {name} (μB)": profile.values[:, i] for i, name in enumerate(profile.columns)}
    return pd.DataFrame({"layer": labels, **numbers})


def test_a_figure_is_saved_in_three_formats_with_its_numbers(tmp_path):
    profile = given.profile()
    profile.values = profile.values / 3
    written = save_figure(draw_profile(profile), frame(profile), tmp_path / "new" / "mom.ents")
    assert sorted(path.name for path in written) == ["mom.ents.csv", "mom.ents.pdf", "mom.ents.png", "mom.ents.svg"]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(path.name for path in written)
    read = pd.read_csv(tmp_path / "new" / "mom.ents.csv")
    pd.testing.assert_frame_equal(read, frame(profile), check_exact=True)


def test_pixels_are_three_hundred_an_inch_of_one_column(tmp_path):
    save_figure(draw_profile(given.profile()), frame(given.profile()), tmp_path / "x")
    with Image.open(tmp_path / "x.png") as image:
        assert image.width == 1020
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert not {"Software", "Creation Time"} & set(image.info)


@pytest.mark.parametrize("draw", [lambda: draw_profile(given.profile()), lambda: draw_density_slice(given.density())])
def test_the_same_figure_gives_the_same_bytes(tmp_path, draw):
    before = dict(mpl.rcParams)
    for name in ("a", "b"):
        save_figure(draw(), frame(given.profile()), tmp_path / name)
    for kind in ("pdf", "svg", "png", "csv"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes(), kind
    assert dict(mpl.rcParams) == before


def test_text_stays_text_and_no_file_tells_when_it_was_made(tmp_path):
    save_figure(draw_profile(given.profile()), frame(given.profile()), tmp_path / "x")
    pdf = (tmp_path / "x.pdf").read_bytes()
    assert b"/Type3" not in pdf
    assert b"/TrueType" in pdf or b"/CIDFontType2" in pdf
    assert b"CreationDate" not in pdf
    svg = (tmp_path / "x.svg").read_text()
    assert "moment (μB)" in svg
    assert "dc:date" not in svg


def test_saving_leaves_the_figure_as_it_was(tmp_path):
    figure = draw_profile(given.profile())
    engine = figure.get_layout_engine()
    save_figure(figure, frame(given.profile()), tmp_path / "x")
    assert figure.get_layout_engine() is engine


def test_the_index_of_a_frame_is_written_where_it_has_a_name(tmp_path):
    numbers = pd.DataFrame({"moment (μB)": [1.0]}, index=pd.Index(["SrTiO3:1"], name="layer"))
    save_figure(draw_profile(given.profile()), numbers, tmp_path / "x")
    assert (tmp_path / "x.csv").read_text() == "layer,moment (μB)\nSrTiO3:1,1.0\n"


def test_a_folder_that_cannot_be_written_is_one_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        save_figure(draw_profile(given.profile()), pd.DataFrame({"x": np.ones(2)}), tmp_path / "file" / "x")
