from __future__ import annotations

import pytest

from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import build_chain
from heterodft.workflows.configurations import expand
from heterodft.workflows.cost import estimate_cost
from heterodft.workflows.settings_file import load_settings


def test_the_demo_has_the_size_that_pw_prints(demo_file):
    campaign = load_campaign(demo_file)
    settings = load_settings()
    static, dos = (estimate_cost(request, settings) for request in build_chain(campaign, expand(campaign)[0]))
    # pw.x 6.7: 72 electrons, 45 bands, 1 and 6 k-points; 3317 plane waves at the largest k-point
    assert (static.atoms, static.electrons, static.species, static.bands) == (10, 72, 5, 45)
    assert (static.kpoints, dos.kpoints) == (1, 6)
    assert static.plane_waves == pytest.approx(3317, rel=0.02)
    assert dos.core_hours > static.core_hours > 0


def test_a_site_that_breaks_the_symmetry_adds_k_points(demo_file):
    campaign = load_campaign(demo_file)
    vacancy = build_chain(campaign, expand(campaign)[2])
    assert estimate_cost(vacancy[1], load_settings()).kpoints == 8
