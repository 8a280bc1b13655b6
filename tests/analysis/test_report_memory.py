"""A report of thousands of configurations holds little of each."""

from __future__ import annotations

import gc
import tracemalloc

import pytest
from campaign_folders import Campaign

from heterodft.analysis.report import collect
from heterodft.errors import ReaderError

MOST = 120_000
"""Bytes of a configuration of ten atoms; its density of states alone has a million."""


def held_by(campaign):
    """Bytes that the reports of a campaign hold, and how many there are."""
    gc.collect()
    tracemalloc.start()
    try:
        reports = collect(campaign.root)
        gc.collect()
        return tracemalloc.get_traced_memory()[0], len(reports)
    finally:
        tracemalloc.stop()


def test_a_configuration_read_holds_no_array_over_energies(tmp_path):
    campaign = Campaign(tmp_path / "runs" / "demo")
    for name in ("a", "b"):
        campaign.finish(name, "static")
        campaign.finish(name, "dos")
    few, one = held_by(campaign)
    for name in ("c", "d", "e", "f"):
        campaign.finish(name, "static")
        campaign.finish(name, "dos")
    many, all_of_them = held_by(campaign)
    assert (many - few) / (all_of_them - one) < MOST


def test_what_is_not_held_is_read_again(tmp_path):
    campaign = Campaign(tmp_path / "runs" / "demo")
    campaign.finish("sl", "static")
    campaign.finish("sl", "dos")
    (report,) = collect(campaign.root)
    assert report.dos.dos is None
    assert report.found.layer_dos is None
    assert report.read_dos().dos.values.shape[0] == len(report.structure)
    whole = report.read_whole()
    assert whole.layer_dos.reference_name == report.found.dos_zero == "middle of the gap"


def test_a_step_that_was_not_done_is_not_read(tmp_path):
    campaign = Campaign(tmp_path / "runs" / "demo")
    campaign.finish("sl", "static")
    (report,) = collect(campaign.root)
    with pytest.raises(ReaderError, match="the dos step is not done"):
        report.read_dos()
