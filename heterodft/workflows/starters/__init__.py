"""Campaign files to start from: templates of common questions, and the examples of the papers.

A template names the keys it needs; ``# other keys of method`` stands for all others of that section, which are added
as comments from the models that read the file: the key, its default or an example, its meaning and unit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from ruamel.yaml import YAML

from heterodft.errors import CampaignError, did_you_mean
from heterodft.workflows.campaign import Campaign, StructureSpec
from heterodft.workflows.campaign_schema import SCHEMA_NAME
from heterodft.workflows.converge_spec import ConvergeSpec
from heterodft.workflows.magnetism_spec import MagnetismSpec
from heterodft.workflows.method_spec import MethodSpec
from heterodft.workflows.structure_spec import MaterialSpec

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

__all__ = ["Starter", "find_starter", "known_starters", "starter_text"]

_GENERAL = ("superlattice", "defects", "u-scan")
_SECTIONS: dict[str, type[BaseModel]] = {
    "campaign": Campaign,
    "material": MaterialSpec,
    "structure": StructureSpec,
    "magnetism": MagnetismSpec,
    "method": MethodSpec,
    "converge": ConvergeSpec,
}
_MARK = re.compile(r"^( *)# other keys of (\w+)$")
_PUBLISHED = re.compile(r"^published: *([\w.-]+\.ya?ml)\b", re.MULTILINE)
_SENTENCE = re.compile(r".*?(?<!\bPhys)(?<!\bRev)(?<!\bLett)[.?](?=\s|$)")
"""The first one, which the names of journals do not end."""
_MEANING_AT = 42
"""Column of the comments, where the key and its value leave room."""


@dataclass(frozen=True)
class Starter:
    """A campaign file to start from.

    Attributes
    ----------
    name, line
        How it is called, and what it is for, in one line.
    path
        Its file.
    """

    name: str
    line: str
    path: Path

    @property
    def published(self) -> Path | None:
        """The file of published figures that it names, if any."""
        found = _PUBLISHED.search(self.path.read_text(encoding="utf-8"))
        return self.path.parent / found[1] if found else None


def known_starters() -> dict[str, Starter]:
    """Return the templates by name, followed by the examples."""
    here = Path(str(resources.files(__name__)))
    files = {name: here / f"{name}.yaml" for name in _GENERAL}
    campaigns = [path for path in sorted(_examples().glob("*/*.yaml")) if path.stem != "published"]
    for path in campaigns:
        name = path.parent.name if path.stem == "campaign" else f"{path.parent.name}-{path.stem}"
        files.setdefault(name, path)
    return {name: Starter(name, _first_comment(path), path) for name, path in files.items()}


def _examples() -> Path:
    """Return the folder of the examples: in an installed package inside it, in the sources beside it."""
    package = Path(str(resources.files("heterodft")))
    inside = package / "examples"
    return inside if inside.is_dir() else package.parent / "examples"


def _first_comment(path: Path) -> str:
    """Return the first sentence of the comment that a file begins with."""
    lines: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# "))
    found = _SENTENCE.match(" ".join(lines))
    return found[0] if found else lines[0] if lines else ""


def find_starter(name: str) -> Starter:
    """Return a template by its name.

    Raises
    ------
    CampaignError
        If there is no such template.
    """
    known = known_starters()
    if name not in known:
        raise CampaignError(f"there is no template '{name}'{did_you_mean(name, known)}; see: heterodft init --list")
    return known[name]


def starter_text(starter: Starter, *, name: str | None = None, published: str = "published.yaml") -> str:
    """Return the campaign file of a template, every key named.

    Parameters
    ----------
    starter
        The template.
    name
        Of the campaign. One with published figures keeps its own, which decides what it may be compared with.
    published
        Where the published figures will be.
    """
    name = None if starter.published else name
    lines = [f"# yaml-language-server: $schema={SCHEMA_NAME}"]
    text = starter.path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(text):
        mark = _MARK.match(line)
        if mark:
            lines += _other_keys(_SECTIONS[mark[2]], mark[1], _keys_beside(text[:number], mark[1]))
        elif name is not None and line.startswith("name:"):
            lines.append(re.sub(r"^name: *[\w.-]+ ?", lambda _: f"name: {_text(name)} ", line).rstrip())
        elif not line.startswith("# yaml-language-server:"):
            lines.append(line)
    return _PUBLISHED.sub(f"published: {published}", "\n".join(lines) + "\n")


def _text(name: str) -> str:
    """Write a name so that YAML reads a text, also where it looks like a number or a date."""
    return name if isinstance(YAML(typ="safe").load(name), str) else f'"{name}"'


def _keys_beside(lines: list[str], indent: str) -> set[str]:
    """Return the keys of the section that a line with an indentation belongs to."""
    keys = set()
    for line in reversed(lines):
        depth = len(line) - len(line.lstrip())
        if line.strip() and depth < len(indent):
            break
        found = re.match(rf"{indent}(\w+):", line)
        if found:
            keys.add(found[1])
    return keys


def _other_keys(model: type[BaseModel], indent: str, known: set[str], *, head: str = "# ") -> list[str]:
    """Return a comment for each key of a section that is not there."""
    lines = []
    for key, field in model.model_fields.items():
        if key in known or field.description is None:
            continue
        inner = field.annotation
        nested = isinstance(inner, type) and issubclass(inner, BaseModel)
        value = "" if nested else f" {_flow(_shown(field))}"
        lines.append(f"{f'{indent}{head}{key}:{value}':<{_MEANING_AT}} # {_meaning(field, nested=nested)}")
        if nested and isinstance(inner, type):
            lines += _other_keys(inner, indent, set(), head=f"{head}  ")
    return lines


def _shown(field: FieldInfo) -> Any:
    """Return the default of a key, or an example where it has none that could be written."""
    default = field.default
    if field.examples and (default in (None, PydanticUndefined) or not isinstance(default, bool | int | float | str)):
        return field.examples[0]
    return default


def _meaning(field: FieldInfo, *, nested: bool) -> str:
    choices = [str(choice) for choice in _choices(field.annotation)]
    told = f" ({' | '.join(choices)})" if choices else ""
    default = "" if nested or _shown(field) is not field.default else " (the default)"
    return f"{field.description}{told}{default}"


def _choices(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    parts = [choice for part in get_args(annotation) if get_origin(part) is Literal for choice in get_args(part)]
    return parts if get_origin(annotation) is not list else []


def _flow(value: Any) -> str:
    """Write a value on one line of YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    return text if not isinstance(value, str) or not set(text) & set("{}[]#:,\"'") else f'"{text}"'
