"""The steps of a configuration as requests, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heterodft.errors import HeterodftError
from heterodft.structures.fitting import MOST_STRAIN
from heterodft.templates.potcars import find_potcars
from heterodft.templates.protocols import FREE_CELL, goes_coarse_first, resolve_settings
from heterodft.templates.protocols.slabs import is_slab
from heterodft.templates.pseudopotentials import find_pseudopotentials
from heterodft.templates.species import build_species_table
from heterodft.templates.steps import parent_of, taken_over
from heterodft.units import cutoff_in_words
from heterodft.workflows.calculation import Request, canonical_structure
from heterodft.workflows.configurations import expand
from heterodft.workflows.state.choice import Unreached

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from heterodft.templates.hubbard import HubbardU
    from heterodft.templates.protocols import StepSettings
    from heterodft.templates.steps import StepName
    from heterodft.workflows.built_structures import BuiltStructure
    from heterodft.workflows.campaign import Campaign
    from heterodft.workflows.configurations import Configuration
    from heterodft.workflows.method_spec import NumbersSpec, StepSpec

__all__ = ["build_chain", "campaign_chains", "refuse_plain_relaxation"]


def build_chain(
    campaign: Campaign,
    configuration: Configuration,
    *,
    pseudo_dir: Path | None = None,
    notes: list[str] | None = None,
) -> list[Request]:
    """Return the requests of a configuration, in the order they run.

    Parameters
    ----------
    campaign, configuration
        What to compute.
    pseudo_dir
        Folder of UPF files; by default the installed family of the functional.
    notes
        What the user should hear of is added here.

    Raises
    ------
    CampaignError
        If settings cannot be resolved or a pseudopotential is missing.
    """
    built = configuration.built
    notes = [] if notes is None else notes
    try:
        pseudopotentials = _pseudopotentials(campaign, configuration, pseudo_dir)
        moments = configuration.moments
        chain: list[Request] = []
        for name, settings, plain in _steps(campaign, built):
            if not chain:
                moments = _merged(campaign, configuration, settings, notes)
            step = parent_of(name, [request.step for request in chain])
            parent = next((request for request in chain if request.step == step), None)
            chain.append(
                Request(
                    code=campaign.code,
                    step=name,
                    structure=canonical_structure(built.structure),
                    moments=moments,
                    hubbard=() if plain else configuration.hubbard,
                    settings=settings,
                    pseudopotentials=pseudopotentials,
                    parent=parent.id if parent else None,
                    charge=_charge(built),
                    directions=configuration.directions,
                    spin_orbit=configuration.spin_orbit,
                    about=_about(campaign, configuration, settings, name, parent, plain=plain),
                )
            )
    except HeterodftError as error:
        raise campaign.error_of(built.key, built.name, error) from error
    notes += _doubts(built, chain) + _unused(campaign, built, chain)
    return chain


def _unused(campaign: Campaign, built: BuiltStructure, chain: list[Request]) -> list[str]:
    """Return which numbers of a structure no step of it takes, and which of a step that step does not take."""
    own = built.spec.method
    given = set() if own is None else set(own.overrides(campaign.code))
    notes = [
        f"{built.name}: {key} has no use in {campaign.code} here" for key in _not_taken(given, chain, "structure")
    ]
    by_step = {request.step: request for request in chain}
    for step in built.spec.steps or campaign.steps:
        unused = _not_taken(set(step.method.overrides(campaign.code)), [by_step[step.name]], "step")
        notes += [f"{built.name}: {key} of {step.name} has no use in {campaign.code}" for key in unused]
    return notes


def _not_taken(given: set[str], requests: Sequence[Request], source: str) -> list[str]:
    """Return which of the numbers that a source gives none of the requests has from it."""
    origins = [request.settings.origin for request in requests]
    taken = {key for origin in origins for key, whence in origin.items() if whence.startswith(source)}
    return sorted(given - taken - _NOT_OF_A_STEP)


_NOT_OF_A_STEP = {"coarse_first", "cell", "dipole", "raw", "forced"}
"""Decided for the chain, or for one kind of structure and left aside by others."""


def _doubts(built: BuiltStructure, chain: list[Request]) -> list[str]:
    """Return what of a request makes little sense, though it can be computed, or is not what was given."""
    strained = built.structure.properties.get("strain", {})
    found = [
        f"{built.name}: in the plane {material} is strained by {value:+.1f} %"
        for material, value in strained.items()
        if abs(value) > MOST_STRAIN
    ]
    found += _raised_cutoffs(built, chain)
    if not is_slab(built.structure):
        return found
    if any(request.settings.kpoints[2] > 1 for request in chain):
        found.append(f"{built.name}: more than one k-point across its vacuum costs time and changes nothing")
    if _charge(built):
        found.append(f"{built.name}: the energy of a charged slab changes with its vacuum; no correction is applied")
    return found


def _raised_cutoffs(built: BuiltStructure, chain: list[Request]) -> list[str]:
    """Return which relaxations have a higher cutoff than the campaign gives."""
    given = any(r.settings.origin["cutoff"] in ("campaign", "structure") for r in chain)
    raised = [r for r in chain if given and r.settings.origin["cutoff"].endswith(FREE_CELL)]
    return [
        f"{built.name}: {request.step} changes the cell and has a cutoff of "
        f"{cutoff_in_words(request.settings.cutoff, request.code)}, for its stress; a cutoff in the step itself is "
        "kept, and cell: fixed needs none"
        for request in raised
    ]


def _charge(built: BuiltStructure) -> int:
    return int(built.structure.properties.get("charge") or 0)


def _pseudopotentials(campaign: Campaign, configuration: Configuration, pseudo_dir: Path | None) -> dict[str, str]:
    """Return what names the pseudopotential of each element: a checksum, or functional and symbol of a POTCAR."""
    built = configuration.built
    elements = {site.species_string for site in built.structure}
    if campaign.code == "vasp":
        own = built.spec.method.potcars if built.spec.method is not None else {}
        potcars = find_potcars(elements, symbols=campaign.method.potcars | own, xc=_xc(campaign, built))
        return {element: potcar.name for element, potcar in potcars.items()}
    kind = "full" if configuration.spin_orbit else "scalar"
    files = find_pseudopotentials(elements, xc=_xc(campaign, built), folder=pseudo_dir, relativistic=kind)
    return {element: file.sha256 for element, file in files.items()}


def _xc(campaign: Campaign, built: BuiltStructure) -> str:
    own = None if built.spec.method is None else built.spec.method.xc
    return own or campaign.method.xc or "PBE"


def _protocol(campaign: Campaign, built: BuiltStructure) -> str:
    own = None if built.spec.method is None else built.spec.method.protocol
    return own or campaign.method.protocol or "balanced"


def _steps(campaign: Campaign, built: BuiltStructure) -> list[tuple[StepName, StepSettings, bool]]:
    """Return each step with its numbers, and whether it is one without U; one that goes coarse first is two."""
    found: list[tuple[StepName, StepSettings, bool]] = []
    for step in built.spec.steps or campaign.steps:
        plain = step.hubbard == "none"
        if step.name == "relax" and _coarse_first(campaign, built, step.method):
            found.append(("relax-coarse", _settings(campaign, built, "relax-coarse", step.method), plain))
        found.append((step.name, _settings(campaign, built, step.name, step.method), plain))
    return found


def refuse_plain_relaxation(campaign: Campaign, why: str) -> None:
    """Refuse a campaign of which something relaxes without U, where each step must have its own.

    Raises
    ------
    CampaignError
        If there is such a step; `why` begins with what needs U in it.
    """
    places: list[tuple[tuple[str, ...], list[StepSpec]]] = [(("steps",), campaign.steps)]
    places += [(("structures", key, "steps"), spec.steps or []) for key, spec in campaign.structures.items()]
    for place, steps in places:
        if any(step.hubbard == "none" for step in steps):
            raise campaign.error(place, f"relax: hubbard: none; {why}; leave it out")


def _given(campaign: Campaign, built: BuiltStructure, method: NumbersSpec) -> list[tuple[str, Mapping[str, Any]]]:
    """Return what overrides the protocol, the later winning."""
    given: list[tuple[str, Mapping[str, Any]]] = [("campaign", campaign.method.overrides(campaign.code))]
    if any(charge for defect in built.spec.defects for charge in defect.charge):
        given.insert(0, ("structure", {"cell": "fixed"}))  # all charge states in one cell
    if built.spec.method is not None:
        given.append(("structure", built.spec.method.overrides(campaign.code)))
    return [*given, ("step", method.overrides(campaign.code))]


def _coarse_first(campaign: Campaign, built: BuiltStructure, method: NumbersSpec) -> bool:
    wanted = goes_coarse_first(_protocol(campaign, built))
    for _, changes in _given(campaign, built, method):
        wanted = bool(changes.get("coarse_first", wanted))
    return wanted


def _settings(campaign: Campaign, built: BuiltStructure, step: StepName, method: NumbersSpec) -> StepSettings:
    return resolve_settings(
        built.structure,
        step,
        code=campaign.code,
        xc=_xc(campaign, built),
        protocol=_protocol(campaign, built),
        given=_given(campaign, built, method),
    )


def _merged(
    campaign: Campaign, configuration: Configuration, settings: StepSettings, notes: list[str]
) -> tuple[float, ...] | None:
    """Return the starting moments, those merged that Quantum ESPRESSO has no species for, and say so."""
    moments = configuration.moments
    if moments is None:
        return None
    if campaign.code != "espresso":
        return tuple(round(moment, 6) + 0.0 for moment in moments)
    table = build_species_table(
        configuration.built.structure,
        moments=moments,
        hubbard=configuration.hubbard,
        directions=configuration.directions,
        tolerance=settings.moment_tolerance,
    )
    notes += [f"{configuration.built.name}, {configuration.order}: ten species: {told}" for told in table.merged]
    return tuple(round(table.species[number].moment, 6) + 0.0 for number in table.site_numbers)


def _about(
    campaign: Campaign,
    configuration: Configuration,
    settings: StepSettings,
    step: StepName,
    parent: Request | None,
    *,
    plain: bool,
) -> dict[str, Any]:
    """Names for people and places, and where numbers came from; no part of the identity."""
    built = configuration.built
    about = {
        "campaign": campaign.name,
        "key": built.key,
        "name": built.name,
        "label": built.label,
        "order": configuration.order,
        "moments": configuration.sources,
        "hubbard": configuration.hubbard_label,
        "protocol": _protocol(campaign, built),
        "origin": settings.origin | {"hubbard": "campaign" if built.spec.hubbard is None else "structure"},
        "parent_folder": f"../{parent.step}" if parent else None,
        "defect": built.structure.properties.get("defect"),
        "strain": built.structure.properties.get("strain", {}),
    }
    if configuration.moments is not None:
        about["orders"] = dict(configuration.orders)
        about |= _on_another_state(campaign, built)
    if parent is not None:
        same = _basis(settings) == _basis(parent.settings)
        alike = plain or _active(configuration.hubbard) == _active(parent.hubbard)
        taken = taken_over(campaign.code, step, parent.step, same_basis=same, same_hubbard=alike)
        about["same_basis"] = same
        about |= {} if alike else {"same_hubbard": False}
        about["taken_over"] = {"from": parent.step, "what": taken.text, "why_not_all": taken.reason}
    return about


def _on_another_state(campaign: Campaign, built: BuiltStructure) -> dict[str, Any]:
    """Return what the structure, else the campaign, says of states that were not asked for."""
    own = None if built.spec.magnetism is None else built.spec.magnetism.on_another_state
    chosen = (own or campaign.magnetism.on_another_state or Unreached()).to_data()
    return {"unreached": chosen} if chosen else {}


def _active(hubbard: Sequence[HubbardU]) -> list[Any]:
    return [u.to_data() for u in hubbard if u.active]


def _basis(settings: StepSettings) -> tuple[object, ...]:
    """Return what wavefunctions depend on besides the structure."""
    return settings.cutoff, settings.kpoints, settings.shift, settings.empty_bands


def campaign_chains(
    campaign: Campaign,
    *,
    structures: list[BuiltStructure] | None = None,
    pseudo_dir: Path | None = None,
    notes: list[str] | None = None,
    on_each: Callable[[str], None] | None = None,
) -> list[list[Request]]:
    """Return the requests of every configuration of a campaign, each configuration once.

    `structures` are those of the campaign when they are built already; `notes` takes what the user should hear of, as
    in `expand`; `on_each` is called with the name of each configuration, to show progress.

    Raises
    ------
    CampaignError
        If two different configurations would share a folder.
    """
    chains: dict[str, list[Request]] = {}
    for configuration in expand(campaign, structures, notes=notes):
        chain = build_chain(campaign, configuration, pseudo_dir=pseudo_dir, notes=notes)
        known = chains.setdefault(chain[0].path, chain)
        if on_each is not None:
            on_each(chain[0].path.rpartition("/")[0])
        if [request.id for request in known] != [request.id for request in chain]:
            raise campaign.error(
                ("structures", configuration.built.key),
                f"two different configurations are both called {chain[0].path.rpartition('/')[0]}; "
                "rename one, or give U that differ in the first six digits",
            )
    if notes is not None:
        every = [request for chain in chains.values() for request in chain]
        unused = _not_taken(set(campaign.method.overrides(campaign.code)), every, "campaign")
        notes += [f"{key} of method has no use in {campaign.code} here" for key in unused]
        notes[:] = list(dict.fromkeys(notes))
    return list(chains.values())
