"""A calculation of two seconds, SrTiO3 with pw.x, through the code of real runs."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import redirect_stderr
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from heterodft.errors import HeterodftError
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import campaign_chains
from heterodft.workflows.doctor.finding import Finding, problem, well

if TYPE_CHECKING:
    from heterodft.workflows.settings import Settings

__all__ = ["run_trial"]

_CAMPAIGN = """\
name: trial
materials: {SrTiO3: {prototype: perovskite, a: 3.905}}
structures: {bulk: {stack: [{material: SrTiO3, layers: 1}]}}
method: {protocol: fast, cutoff: 20 Ry, kspacing: 1.7}
steps: [static]
"""


def run_trial(settings: Settings) -> Finding:
    """Run it in a folder of its own, which stays only where it fails."""
    folder = Path(tempfile.mkdtemp(prefix="heterodft-trial-"))
    started = time.monotonic()
    try:
        with redirect_stderr(StringIO()):  # on which custodian says once more what failed
            told = _run(folder, replace(settings, runs=folder, cores=min(2, settings.cores)))
    except HeterodftError as error:
        return problem("trial", "SrTiO3", str(error), f"read the outputs in {folder}")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    return well("trial", "SrTiO3", f"{told}, in {time.monotonic() - started:.1f} s")


def _run(folder: Path, settings: Settings) -> str:
    from heterodft.workflows.calculation import write_request
    from heterodft.workflows.runner import run_calculation

    (folder / "trial.yaml").write_text(_CAMPAIGN, encoding="utf-8")
    campaign = load_campaign(folder / "trial.yaml")
    ((request,),) = campaign_chains(campaign, pseudo_dir=settings.pseudo_dir)
    place = folder / request.path
    write_request(request, place)
    result = run_calculation(place, request.id, settings)
    cores = f"{settings.cores} core{'s' * (settings.cores > 1)}"
    return f"pw.x {result.version} on {cores}: {result.energy:.4f} eV after {result.iterations} iterations"
