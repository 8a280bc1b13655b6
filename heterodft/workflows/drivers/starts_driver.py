"""Several starts of a configuration: which states there are, which is the lowest, how often each is reached.

The starts of one structure with one U are made in a fixed order, those of several orders together. As many are
computed at once as are certain to be needed: a start finds nothing new when it ends in a state that was known, and
so many in a row are the last. Nothing is computed that a run one by one would not compute.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from heterodft.errors import HeterodftError, InputError, StructureError, did_you_mean
from heterodft.templates.steps import RELAXATIONS
from heterodft.words import number_of
from heterodft.workflows.built_structures import build_structures
from heterodft.workflows.chains import build_chain
from heterodft.workflows.configurations import expand
from heterodft.workflows.drivers.driver import Decision, Driver, Point
from heterodft.workflows.drivers.start_choices import inequivalent_signs, start_choices
from heterodft.workflows.drivers.start_lines import start_lines
from heterodft.workflows.drivers.starts_summary import found_states, summarize_starts
from heterodft.workflows.drivers.variants import as_variant
from heterodft.workflows.starts_spec import StartsSpec

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.workflows.built_structures import BuiltStructure
    from heterodft.workflows.campaign import Campaign
    from heterodft.workflows.configurations import Configuration
    from heterodft.workflows.drivers.driver import Chain, Finished, Summary
    from heterodft.workflows.drivers.start_choices import StartChoice

__all__ = ["STRATEGY", "build"]

_NEEDED = (*RELAXATIONS, "static")
"""Steps that a state is told by; dos and bands of every start would be computed for nothing."""
_PLACE = ("converge", "starts")


def build(campaign: Campaign, kind: str, *, pseudo_dir: Path | None = None, notes: list[str] | None = None) -> Driver:
    """Return the driver of the starts that a campaign asks for.

    Parameters
    ----------
    campaign
        With or without a ``starts`` section.
    kind
        ``starts``.
    pseudo_dir
        Folder of UPF files; by default the installed family of the functional.
    notes
        What the user should hear of is added here.

    Raises
    ------
    CampaignError
        If a name is unknown, or a start does not suit a structure.
    """
    notes = [] if notes is None else notes
    given = campaign.converge.starts or StartsSpec()
    _check_code(campaign, given)
    families: dict[str, list[Configuration]] = {}
    for configuration in _chosen(campaign, given, notes):
        families.setdefault(f"{configuration.built.name} {configuration.hubbard_label}", []).append(configuration)
    points: list[Point] = []
    starts: list[dict[str, Any]] = []
    for family, members in families.items():
        for number, (choice, chain) in enumerate(_family(campaign, members, given, pseudo_dir, notes)):
            told = as_variant(chain, f"{campaign.name}.{kind}", f"start-{number}")
            more = {"start": choice.label, "unreached": {"choice": "accept"}}
            told = tuple(replace(request, about=request.about | more) for request in told)
            order = choice.configuration.order
            lines, remark = start_lines(choice)
            points.append(Point(f"{family} {order} start-{number}", float(number), (told,)))
            starts.append(
                {
                    "family": family,
                    "name": f"start-{number} ({order}): {choice.label}",
                    "own": not choice.words,
                    "lines": lines,
                    "remark": remark,
                }
            )
    rule = {"limit": given.limit, "patience": given.patience, "energy_tolerance": given.energy_tolerance}
    return Driver(kind, campaign.name, tuple(points), rule | {"starts": starts})


def _check_code(campaign: Campaign, spec: StartsSpec) -> None:
    if spec.occupations and campaign.code != "espresso":
        raise campaign.error(
            (*_PLACE, "occupations"),
            f"{campaign.code} takes no starting occupations; leave them out, or use espresso",
        )


def _chosen(campaign: Campaign, spec: StartsSpec, notes: list[str]) -> list[Configuration]:
    """Return the configurations to be started several times."""
    structures = build_structures(campaign, notes=notes)
    names = [built.name for built in structures]
    for number, name in enumerate(spec.structures or ()):
        if name not in names:
            raise campaign.error((*_PLACE, "structures", number), f"no structure '{name}'{did_you_mean(name, names)}")
    defects = [built.name for built in structures if built.structure.properties.get("defect")]
    wanted = set(spec.structures or defects or names)
    every = expand(campaign, structures, notes=notes)
    inside = [configuration for configuration in every if configuration.built.name in wanted]
    orders = list(dict.fromkeys(configuration.order for configuration in inside))
    for number, order in enumerate(spec.orders or ()):
        if order not in orders:
            raise campaign.error((*_PLACE, "orders", number), f"no order '{order}'{did_you_mean(order, orders)}")
    polarized = [c.order for c in inside if c.moments is not None]
    chosen = set(spec.orders or polarized or orders)
    return [configuration for configuration in inside if configuration.order in chosen]


def _family(
    campaign: Campaign, members: list[Configuration], spec: StartsSpec, pseudo_dir: Path | None, notes: list[str]
) -> list[tuple[StartChoice, Chain]]:
    """Return the starts of one structure with one U in the order they are made, each once, at most `limit`."""
    built = members[0].built
    filled = _suited(campaign, built, spec, members, notes)
    own = [member.moments for member in members if member.moments is not None]
    signs = inequivalent_signs(built.structure, own) if own and filled.random is not None else None
    first = next((member for member in members if member.moments is not None), None)
    choices: list[StartChoice] = []
    for member in members:
        try:
            choices += start_choices(member, filled, signs=signs if member is first else None)
        except (StructureError, InputError) as error:
            raise campaign.error(_PLACE, f"{built.name}, {member.order}: {error}") from error
    found: dict[str, tuple[StartChoice, Chain]] = {}
    for choice in sorted(choices, key=lambda choice: len(choice.words)):
        if len(found) == spec.limit:
            break
        chain = _chain(campaign, choice, pseudo_dir, notes)
        if chain:
            found.setdefault(chain[-1].id, (choice, chain))
    if len(found) < 2:
        raise campaign.error(
            _PLACE,
            f"{built.name}: there is no start besides the campaign's own; give an order with moments, or distortions "
            "of a defect",
        )
    return list(found.values())


def _suited(
    campaign: Campaign, built: BuiltStructure, spec: StartsSpec, members: list[Configuration], notes: list[str]
) -> StartsSpec:
    """Return the spec with what is tried where nothing is named, and refuse what does not suit a structure."""
    relaxes = any(step.name == "relax" for step in built.spec.steps or campaign.steps)
    has_defect = bool(built.structure.properties.get("defect"))
    if spec.distortions and not relaxes:
        raise campaign.error(
            (*_PLACE, "distortions"),
            f"{built.name} is not relaxed, so that distorted starts are other structures, not other states; write "
            "steps: [relax, static], or leave distortions out",
        )
    if any(spec.distortions or ()) and not has_defect:
        raise campaign.error(
            (*_PLACE, "distortions"), f"{built.name} has no defect to distort around; name structures that have one"
        )
    if spec.occupations and any(member.moments is None for member in members):
        raise campaign.error(
            (*_PLACE, "occupations"),
            f"{built.name}: occupations up and down need an order with moments, not NM; name such orders",
        )
    if spec.occupations and any(member.directions is not None for member in members):
        raise campaign.error(
            (*_PLACE, "occupations"), f"{built.name}: noncollinear runs take no starting occupations; leave them out"
        )
    filled = spec.filled(relaxes=relaxes and has_defect)
    if filled is not spec and filled.distortions:
        try:
            start_choices(members[0], filled.model_copy(update={"random": None, "moments": None}))
        except StructureError as error:
            notes.append(f"{built.name}: no distorted starts: {error}")
            return filled.model_copy(update={"distortions": None})
    return filled


def _chain(campaign: Campaign, choice: StartChoice, pseudo_dir: Path | None, notes: list[str]) -> Chain | None:
    """Return the steps of a start as far as a state needs them; None of a random one that the code cannot hold."""
    try:
        chain = build_chain(campaign, choice.configuration, pseudo_dir=pseudo_dir, notes=[])
    except HeterodftError as error:
        if not choice.random:
            raise
        notes.append(f"{choice.label} left out: {error}")
        return None
    return tuple(request for request in chain if request.step in _NEEDED)


class _StartsStrategy:
    """Starts until so many in a row find nothing new."""

    def decide(self, driver: Driver, finished: Finished) -> Decision:
        """Return the starts that are certain to be needed."""
        chains: list[Chain] = []
        told: list[str] = []
        for family in dict.fromkeys(start["family"] for start in driver.rule["starts"]):
            more, words = _go_on(driver, family, finished)
            chains += more
            told.append(f"{family}: {words}")
        return Decision(tuple(chains), "; ".join(told))

    def summarize(self, driver: Driver, finished: Finished, *, figures: bool = False) -> Summary:
        """Return the states found so far."""
        return summarize_starts(driver, finished, ended=self.decide(driver, finished).ended, figures=figures)


def _go_on(driver: Driver, family: str, finished: Finished) -> tuple[list[Chain], str]:
    """Return the next starts of a structure and U, none when it has ended, and one line."""
    starts = [
        point.chains[0]
        for point, start in zip(driver.points, driver.rule["starts"], strict=True)
        if start["family"] == family
    ]
    patience, streak, tried = driver.rule["patience"], 0, 0
    over = [finished.is_finished(c) or finished.chain_failure(c) is not None for c in starts]
    done = over.index(False) if False in over else len(starts)
    found = found_states(driver, family, finished, count=done)
    for new in found.new:
        tried += 1
        streak = streak if new is None else 0 if new else streak + 1
        if streak >= patience:
            break
    states = f"{number_of(len(found.states), 'state')} after {tried} of {len(starts)} starts"
    if streak >= patience:
        return [], f"{states}; the last {patience} found nothing new"
    if done == len(starts):
        return [], f"{states}; there are no more"
    certain = patience - streak + (0 if found.states else 1)
    following = starts[done : done + certain]
    return following, f"{states}; {len(following)} more"


STRATEGY = _StartsStrategy()
