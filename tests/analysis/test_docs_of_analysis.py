"""The examples of the page on reading results are what the program does, and its names exist."""

from __future__ import annotations

import doctest
import re
from dataclasses import replace
from pathlib import Path

import layered_results as layered
import numpy as np

from heterodft import analysis
from heterodft.analysis.result import SiteValues
from heterodft.cli.analyze import command
from heterodft.files import write_json

PAGE = Path(__file__).parents[2] / "docs" / "analysis.md"


def test_examples_of_the_analysis_page_are_what_the_program_does(tmp_path, monkeypatch):
    values = layered.empty()
    values[:, 0, :] = layered.box(-3.0, -0.5, 1.0)
    values[:, 4, :] = layered.box(0.5, 3.0, 1.0)
    bands = layered.two_level_bands(-0.5, 0.5)
    sites = {"sphere": SiteValues("sphere", (1.0,) * len(layered.STRUCTURE), (0.1,) * len(layered.STRUCTURE))}
    result = layered.make(values, electrons=2.0, bands=bands, sites=sites)
    folder = tmp_path / "sl"
    folder.mkdir()
    request = {"id": "0123456789ab"}
    write_json(folder / "request.json", request)
    replace(result, request=request).save(folder)
    monkeypatch.chdir(tmp_path)
    found = doctest.testfile(str(PAGE), module_relative=False)
    assert found.attempted > 5
    assert found.failed == 0
    assert np.isfinite(values).all()


def test_quantities_and_options_of_the_page_exist():
    text = PAGE.read_text()
    table = text[text.index("| quantity |") : text.index("## Definitions")]
    names = [
        name
        for row in table.splitlines()
        for name in re.findall(r"`([A-Z]\w+)`", row.split("|")[1] if "|" in row else "")
    ]
    assert len(names) > 15
    assert set(names) <= set(analysis.__all__)
    options = {option for parameter in command.params for option in parameter.opts}
    assert set(re.findall(r"`(--[a-z]+)", text)) <= options
