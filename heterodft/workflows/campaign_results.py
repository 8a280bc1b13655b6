"""What the calculations of a campaign found, as tables and figures; read from its folders, not from the queue."""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

from heterodft.analysis.energies import ConfigurationEnergies
from heterodft.analysis.report import collect, compared
from heterodft.analysis.report.tables import layers_csv, summary_csv
from heterodft.errors import CampaignError, PseudopotentialError, did_you_mean
from heterodft.templates.families import suggested_cutoffs
from heterodft.workflows.chains import campaign_chains
from heterodft.workflows.configurations import expand
from heterodft.workflows.settings_file import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pandas import DataFrame

    from heterodft.analysis.overview import FolderOverview
    from heterodft.analysis.report import ConfigurationReport
    from heterodft.workflows.calculation import Request
    from heterodft.workflows.campaign import Campaign

__all__ = ["CampaignResults", "asked_for", "configuration_paths", "read_results"]


_SHOWN = ["configuration", "label", "energy_eV", "moment_muB", "gap_eV", "metal", "state", "converged"]
"""Columns of the summary that a notebook and a prompt show."""


@dataclass(frozen=True, repr=False)
class CampaignResults:
    """What the calculations of a campaign found.

    Attributes
    ----------
    name, runs
        The campaign, and the folder of its runs.
    configurations
        One report each, in the order of the file: steps, energy, moments, gap, state, layers, caveats.
    missing
        What the file asks for and is not finished: configurations, ``demo/sl/FM/noU``, or some of their
        steps, ``demo/sl/FM/noU: dos``.
    """

    name: str
    runs: Path
    configurations: tuple[ConfigurationReport, ...]
    missing: tuple[str, ...] = ()

    def summary(self) -> DataFrame:
        """Return one row a configuration: energies (eV), moments (μB), gap (eV), state reached."""
        return _frame(summary_csv(self.configurations))

    def layers(self) -> DataFrame:
        """Return one row an atomic plane of each configuration, from the bottom up: moments, charge, edges."""
        return _frame(layers_csv(self.configurations))

    def energies(self) -> ConfigurationEnergies:
        """Return the energies of the orders, ranked, with ``to_frame()`` and ``plot()``; empty where none has two."""
        return compared(self.configurations) or ConfigurationEnergies(())

    def overview(self, path: str) -> FolderOverview:
        """Return all quantities by layer of one configuration, ``sl/FM/noU``, see `FolderOverview`.

        Raises
        ------
        CampaignError
            If there is no such configuration.
        """
        from heterodft.analysis.overview import FolderOverview

        known = [report.path.partition("/")[2] for report in self.configurations]
        wanted = path.removeprefix(f"{self.name}/")
        if wanted not in known:
            raise CampaignError(f"{self.name} has no finished configuration '{path}'{did_you_mean(wanted, known)}")
        return FolderOverview.read(self.runs / wanted)

    def __repr__(self) -> str:
        """Return what a prompt and ``print`` show."""
        absent = f"\nNot in {self.runs}: {', '.join(self.missing)}" if self.missing else ""
        return f"{self.name}\n{self.summary()[_SHOWN].to_string(index=False)}{absent}"

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from html import escape

        absent = f"<p>Not in {escape(f'{self.runs}: ' + ', '.join(self.missing))}</p>" if self.missing else ""
        return f"<b>{escape(self.name)}</b>{self.summary()[_SHOWN].to_html(index=False)}{absent}"


def _frame(text: str) -> DataFrame:
    from pandas import read_csv

    return read_csv(StringIO(text))


def configuration_paths(campaign: Campaign) -> list[str]:
    """Return the paths of the configurations of a campaign, ``demo/sl/FM/noU``; pseudopotentials are not needed."""
    names = (f"{campaign.name}/{c.built.name}/{c.order}/{c.hubbard_label}" for c in expand(campaign))
    return list(dict.fromkeys(names))


def asked_for(
    campaign: Campaign, make_chains: Callable[[], Sequence[Sequence[Request]]]
) -> tuple[list[str], dict[str, str] | None]:
    """Return the paths of the configurations of a campaign, and the identity of each calculation by its path.

    Without the pseudopotentials, whose checksums are part of them, the identities are not known: None.

    Raises
    ------
    CampaignError
        If the campaign cannot be built for another reason.
    """
    try:
        chains = make_chains()
    except CampaignError as error:
        if not isinstance(error.__cause__, PseudopotentialError):
            raise
        return configuration_paths(campaign), None
    identities = {request.path: request.id for chain in chains for request in chain}
    return [chain[0].path.rpartition("/")[0] for chain in chains], identities


def read_results(campaign: Campaign, *, runs: Path | None = None, reference: str = "FM") -> CampaignResults:
    """Read what there is of a campaign; before it is submitted, all of it is missing.

    Parameters
    ----------
    campaign
        What was asked for; folders that hold other settings count as not run.
    runs
        Folder of all runs; by default that of the settings.
    reference
        The order whose energy is zero.
    """
    settings = load_settings()
    order, expected = asked_for(campaign, lambda: campaign_chains(campaign, pseudo_dir=settings.pseudo_dir))
    folder = (settings.runs if runs is None else runs.absolute()) / campaign.name
    begun = any(folder.glob("*/*/*/*/request.json"))
    options: dict[str, Any] = {"expected": expected, "reference": reference, "suggested": suggested_cutoffs()}
    reports = collect(folder, order, **options) if begun else []
    told = {report.path: report for report in reports}
    missing = [words for path in order if (words := _unfinished(path, told.get(path)))]
    return CampaignResults(campaign.name, folder, tuple(reports), tuple(missing))


def _unfinished(path: str, report: ConfigurationReport | None) -> str:
    """Return a configuration of which nothing is done, or with the steps that are not; empty for a finished one."""
    left = [] if report is None else [step.step for step in report.steps if step.state != "done"]
    if report is None or len(left) == len(report.steps):
        return path
    return f"{path}: {', '.join(left)}" if left else ""
