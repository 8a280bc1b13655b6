"""Reading a campaign file; a mistake is told with its line, its key and a near match."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from heterodft.errors import CampaignError, did_you_mean
from heterodft.structures.defect_sites import PLACES
from heterodft.structures.reference_lattices import REFERENCES
from heterodft.templates.steps import NEED_A_STATIC_STEP
from heterodft.workflows.campaign import Campaign, place_in_file
from heterodft.workflows.mistakes import in_words
from heterodft.workflows.published_spec import PublishedSpec

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic_core import ErrorDetails

    from heterodft.workflows.method_spec import StepSpec

__all__ = ["load_campaign", "load_published"]

_Model = TypeVar("_Model", bound=BaseModel)
_MOST_MISTAKES = 10


def load_campaign(path: Path) -> Campaign:
    """Read and check a campaign file.

    Parameters
    ----------
    path
        A YAML file.

    Raises
    ------
    CampaignError
        Of each mistake, up to ten of them, a line with the file, the line, the key and the remedy.
    """
    document = _read(path, "campaign file", "name, materials, structures and steps")
    published = document.get("published")
    if isinstance(published, str):
        found = load_published(_beside(path, document, published))
        campaign = _validated(Campaign, path, document, {"published": found})
    else:
        campaign = _validated(Campaign, path, document)
    campaign._path, campaign._lines = path, document
    _check_names(campaign)
    return campaign


def load_published(path: Path) -> PublishedSpec:
    """Read and check a file of published figures, of which several campaigns may make use.

    Raises
    ------
    CampaignError
        As `load_campaign`.
    """
    return _validated(PublishedSpec, path, _read(path, "file of published figures", "source and figures"))


def _beside(path: Path, document: Any, name: str) -> Path:
    found = path.parent / name
    if not found.is_file():
        place = place_in_file(path, document, ("published",))
        raise CampaignError(f"{place}: there is no file {found}; give its path from here, or the figures themselves")
    return found


def _read(path: Path, kind: str, needs: str) -> Any:
    """Return the document of a YAML file, which knows its lines."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise CampaignError(f"cannot read the {kind} {path}: {reason}") from error
    try:
        document = YAML(typ="rt").load(text)
    except YAMLError as error:
        raise CampaignError(_yaml_message(path, error)) from error
    if not isinstance(document, dict):
        raise CampaignError(f"{path}: empty or not a set of keys; it needs {needs}")
    return document


def _validated(model: type[_Model], path: Path, document: Any, known: dict[str, Any] | None = None) -> _Model:
    """Return a document as a model; values of `known` are checked already."""
    try:
        return model.model_validate(_plain(document) | (known or {}))
    except RecursionError as error:
        raise CampaignError(f"{path}: a YAML alias contains itself; write its content out") from error
    except ValidationError as error:
        raise CampaignError(_validation_message(model, path, document, error)) from error


def _plain(node: Any) -> Any:
    """Turn YAML nodes into plain dictionaries, lists and numbers."""
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    if isinstance(node, float):
        return float(node)
    return int(node) if isinstance(node, int) and not isinstance(node, bool) else node


def _yaml_message(path: Path, error: YAMLError) -> str:
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        problem = " ".join(str(error.problem).split())
        return f"{path}:{error.problem_mark.line + 1}: {problem}"
    return f"{path}: {' '.join(str(error).split())}"


def _validation_message(model: type[BaseModel], path: Path, document: Any, error: ValidationError) -> str:
    # An unknown key first: it is often why another one is missing.
    told: dict[str, str] = {}  # one mistake a place: the alternatives of a key fail together
    for one in sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden"):
        where = tuple(part for part in one["loc"] if not str(part).startswith(("function-", "constrained-")))
        where = tuple(part for part in where if part not in ("str", "float", "int", "bool"))
        told.setdefault(place_in_file(path, document, where), _mistake(model, where, one))
    lines = [f"{place}: {message}".replace("\n", "\\n") for place, message in told.items()]
    left = [f"… and {len(lines) - _MOST_MISTAKES} more mistakes"] if len(lines) > _MOST_MISTAKES else []
    return "\n".join([*lines[:_MOST_MISTAKES], *left])


def _mistake(model: type[BaseModel], where: tuple[str | int, ...], error: ErrorDetails) -> str:
    """Return what is wrong at one place, and the remedy."""
    if error["type"] == "extra_forbidden":
        return f"unknown key '{where[-1]}'{did_you_mean(str(where[-1]), _known_keys(model, where[:-1]))}"
    if error["type"] == "missing":
        number = isinstance(where[-1], int)
        return f"a list of {where[-1]} is too short" if number else f"is missing; {_example(model, where)}"
    return in_words(error)


def _example(model: type[BaseModel], where: tuple[str | int, ...]) -> str:
    """Return how a key that has no default may look."""
    field = model.model_fields.get(str(where[0])) if len(where) == 1 else None
    example = field.examples[0] if field is not None and field.examples else None
    return "it has no default" if example is None else f"write for example {where[0]}: {_flow(example)}"


def _flow(value: Any) -> str:
    """Return a value as YAML writes it on one line."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_flow(inner)}' for key, inner in value.items())}}}"
    return f"[{', '.join(map(_flow, value))}]" if isinstance(value, list) else str(value)


def _known_keys(root: type[BaseModel], where: tuple[str | int, ...]) -> list[str]:
    """Return the keys that a place in the file may hold."""
    model: Any = root
    for part in where:
        if isinstance(model, type) and issubclass(model, BaseModel):
            field = model.model_fields.get(str(part))
            model = _model_in(field.annotation) if field is not None else model
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _model_in(annotation: Any) -> Any:
    """Find the model inside ``dict[str, Model]``, ``list[Model] | None`` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in get_args(annotation):
        found = _model_in(part)
        if found is not None:
            return found
    return None


def _check_names(campaign: Campaign) -> None:
    """Check that stacks, in-plane references and defects name materials of the file, and steps their parents."""
    for name, spec in campaign.structures.items():
        where = ("structures", name)
        stacked = [block.material for block in spec.stack]
        for number, material in enumerate(stacked):
            if material not in campaign.materials:
                unused = [name for name in campaign.materials if name not in (*REFERENCES, *stacked)]
                near = get_close_matches(material, unused, n=1) if material in REFERENCES else []
                if near:  # what is stacked is well known, what is defined is not
                    raise campaign.error(("materials", near[0]), f"is '{material}' meant, which {name} stacks?")
                hint = did_you_mean(material, campaign.materials)
                raise campaign.error((*where, "stack", number, "material"), f"unknown material '{material}'{hint}")
        for number, defect in enumerate(spec.defects):
            if (place := defect.where.material) not in (*PLACES, *stacked):
                hint = did_you_mean(place, stacked)
                raise campaign.error((*where, "defects", number, "where"), f"'{place}' is not in the stack{hint}")
        _check_steps(campaign, spec.steps or [], (*where, "steps"))
    _check_steps(campaign, campaign.steps, ("steps",))


def _check_steps(campaign: Campaign, steps: list[StepSpec], place: tuple[str, ...]) -> None:
    names = [step.name for step in steps]
    if len(set(names)) != len(names):
        raise campaign.error(place, f"a step is named twice: {', '.join(names)}; name each once")
    for name in NEED_A_STATIC_STEP:
        if name in names and "static" not in names[: names.index(name)]:
            raise campaign.error(
                place, f"{name} needs the density of a static step before it; write [static, {name}]"
            )
    for step in steps:
        given = {"cutoff", "density_cutoff", "precision"} & step.method.model_fields_set
        if step.name in NEED_A_STATIC_STEP and given:
            raise campaign.error(
                place, f"{step.name}: {min(given)} is that of the density it starts from; give it to all steps"
            )
    if "relax" in names and names.index("relax") > 0:
        raise campaign.error(place, f"relax after {names[0]}; a chain relaxes first: write [relax, static]")
