"""The steps of a configuration and what each hands to the next.

static → dos: the charge density, the Hubbard occupations and the structure go on unchanged; wavefunctions do not.
The copy leaves the data of the static step as it was, since an nscf run overwrites ``data-file-schema.xml``.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, cast, get_args

from heterodft.errors import CalculationError, HeterodftError, StorageError
from heterodft.templates.espresso import PREFIX
from heterodft.templates.protocols import StepName, resolve_settings
from heterodft.templates.pseudopotentials import find_pseudopotentials
from heterodft.workflows.calculation import Request, canonical_structure, finished_id
from heterodft.workflows.configurations import expand

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.workflows.built_structures import BuiltStructure
    from heterodft.workflows.campaign import Campaign
    from heterodft.workflows.configurations import Configuration

__all__ = ["build_chain", "campaign_chains", "hand_over", "has_density"]

_HANDED_ON = ("data-file-schema.xml", "charge-density.dat", "occup.txt")


def build_chain(campaign: Campaign, configuration: Configuration, *, pseudo_dir: Path | None = None) -> list[Request]:
    """Return the requests of a configuration, in the order they run.

    Parameters
    ----------
    campaign, configuration
        What to compute.
    pseudo_dir
        Folder of pseudopotentials; by default the installed family of the functional.

    Raises
    ------
    CampaignError
        If settings cannot be resolved or a pseudopotential is missing.
    """
    _check_available(campaign, configuration)
    built = configuration.built
    method = built.spec.method or campaign.method
    structure = built.structure
    xc = method.xc or campaign.method.xc or "PBE"
    protocol = method.protocol or campaign.method.protocol or "balanced"
    sources = [("campaign", campaign.method.overrides())]
    if built.spec.method is not None:
        sources.append(("structure", built.spec.method.overrides()))
    steps = built.spec.steps or campaign.steps
    names = [_available(campaign, built, step.name) for step in steps]
    chain: list[Request] = []
    try:
        files = find_pseudopotentials((s.species_string for s in structure), xc=xc, folder=pseudo_dir)
        for step, name in zip(steps, names, strict=True):
            given = [*sources, ("step", step.method.overrides())]
            settings = resolve_settings(structure, name, xc=xc, protocol=protocol, given=given)
            parent = chain[-1] if chain else None
            chain.append(
                Request(
                    code=campaign.code,
                    step=name,
                    structure=canonical_structure(structure),
                    moments=configuration.moments,
                    hubbard=configuration.hubbard,
                    settings=settings,
                    pseudopotentials={element: file.sha256 for element, file in files.items()},
                    parent=parent.id if parent else None,
                    about={
                        "campaign": campaign.name,
                        "name": built.name,
                        "label": built.label,
                        "order": configuration.order,
                        "moments": configuration.sources,
                        "hubbard": configuration.hubbard_label,
                        "protocol": protocol,
                        "origin": settings.origin,
                        "parent_folder": f"../{parent.step}" if parent else None,
                        "defect": structure.properties.get("defect"),
                        "strain": structure.properties.get("strain", {}),
                    },
                )
            )
    except HeterodftError as error:
        raise campaign.error(("structures", built.key), str(error)) from error
    return chain


def _check_available(campaign: Campaign, configuration: Configuration) -> None:
    """Refuse what can be built but not computed yet, before anything is written.

    Raises
    ------
    CampaignError
        Of VASP and of charged cells.
    """
    if campaign.code != "espresso":
        raise campaign.error(("code",), "inputs for VASP are not written yet; write code: espresso, or only build")
    if configuration.built.structure.properties.get("charge"):
        where = ("structures", configuration.built.key, "defects")
        raise campaign.error(where, "inputs of charged cells are not written yet; leave charge out, or only build")


def _available(campaign: Campaign, built: BuiltStructure, step: str) -> StepName:
    """Return a step that has inputs; refuse the others.

    Raises
    ------
    CampaignError
        If it has none yet.
    """
    for name in get_args(StepName):
        if step == name:
            return cast("StepName", name)
    where = ("structures", built.key, "steps") if built.spec.steps else ("steps",)
    raise campaign.error(
        where, f"step {step} is not written yet; the steps that are: {', '.join(get_args(StepName))}"
    )


def campaign_chains(
    campaign: Campaign, *, pseudo_dir: Path | None = None, notes: list[str] | None = None
) -> list[list[Request]]:
    """Return the requests of every configuration of a campaign, each configuration once.

    `notes` takes what the user should hear of, as in `expand`.

    Raises
    ------
    CampaignError
        If two different configurations would share a folder.
    """
    chains: dict[str, list[Request]] = {}
    for configuration in expand(campaign, notes=notes):
        chain = build_chain(campaign, configuration, pseudo_dir=pseudo_dir)
        known = chains.setdefault(chain[0].path, chain)
        if [request.id for request in known] != [request.id for request in chain]:
            raise campaign.error(
                ("structures", configuration.built.key),
                f"two different configurations are both called {chain[0].path.rpartition('/')[0]}; "
                "rename one, or give U that differ in the first six digits",
            )
    return list(chains.values())


def has_density(folder: Path) -> bool:
    """Return whether a static step left the density that later steps start from."""
    return (folder / f"{PREFIX}.save" / "charge-density.dat").is_file()


def hand_over(request: Request, folder: Path) -> None:
    """Copy what a step needs of its parent into its folder.

    Raises
    ------
    CalculationError
        If the parent left no density.
    """
    if request.parent is None:
        return
    parent = folder / request.about["parent_folder"]
    if finished_id(parent) != request.parent:
        raise CalculationError(
            f"{parent} does not hold the step that this one starts from; submit the campaign again"
        )
    source = parent / f"{PREFIX}.save"
    target = folder / f"{PREFIX}.save"
    if not has_density(parent):
        raise CalculationError(f"{source} holds no charge density; submit the campaign again")
    try:
        target.mkdir(exist_ok=True)
        for name in _HANDED_ON:
            if (source / name).is_file():
                shutil.copy2(source / name, target / name)
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror or error}; free some space") from error
