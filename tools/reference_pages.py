"""The pages of the documentation that are made from the program while the site is built; a hook of mkdocs.

python tools/reference_pages.py         prints them
"""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any

import click

from heterodft.cli import _COMMANDS
from heterodft.workflows.campaign_schema import campaign_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

_PLACES = {
    "MaterialSpec": "materials.NAME",
    "StructureSpec": "structures.NAME",
    "BlockSpec": "structures.NAME.stack[]",
    "InterfacesSpec": "structures.NAME.interfaces",
    "MatchSpec": "structures.NAME.match",
    "DefectSpec": "structures.NAME.defects[]",
    "LayersOf": "structures.NAME.defects[].where",
    "MagnetismSpec": "magnetism",
    "MethodSpec": "method",
    "NumbersSpec": "steps[].STEP",
    "RelaxationNumbers": "steps[].relax",
    "ConvergeSpec": "converge",
    "CutoffSpec": "converge.cutoff",
    "SpacingSpec": "converge.kspacing",
    "SmearingSpec": "converge.smearing",
    "LayersSpec": "converge.layers",
    "VacuumSpec": "converge.vacuum",
    "HubbardScanSpec": "converge.hubbard",
    "ResponseSpec": "converge.linear_response",
    "StartsSpec": "converge.starts",
    "RandomStarts": "converge.starts.random",
    "RunSpec": "run",
    "PublishedSpec": "published",
    "FigureSpec": "published.figures[]",
    "OursSpec": "published.figures[].ours",
    "SelectionSpec": "published.figures[].ours.minus",
    "LimitSpec": "published.figures[].limit",
}
"""Where in the file each model of the schema stands."""


def campaign_page() -> str:
    """Return the page of all keys of a campaign file, from its JSON schema."""
    schema = campaign_schema()
    models = schema.pop("$defs")
    unknown = set(models) - set(_PLACES)
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: say in _PLACES where in the file they stand")
    lines = [
        "# Keys of the campaign file",
        "",
        "Every key, from the JSON schema that `heterodft schema` prints and that editors complete with. What the",
        "keys mean together is on the page [The campaign file](../campaign.md). Units may be written (`60 Ry`);",
        "without one, energies are in eV, lengths in Å, k-spacings in 1/Å with 2π. *needed*: there is no default.",
        "↓: a section of its own below.",
        "",
        *_model("The file", schema),
    ]
    for name, place in _PLACES.items():
        if name in models:
            lines += _model(f"`{place}`", models[name])
    return "\n".join(lines).rstrip() + "\n"


def _model(title: str, model: dict[str, Any]) -> list[str]:
    said = model.get("description", "").split("\n")[0]
    lines = [f"## {title}", "", *([said, ""] if said else [])]
    properties = model.get("properties", {})
    if properties:
        lines += ["| key | meaning | values | default | example |", "|---|---|---|---|---|"]
        lines += [_row(key, field, needed=key in model.get("required", ())) for key, field in properties.items()]
        lines.append("")
    return lines


def _row(key: str, field: dict[str, Any], *, needed: bool) -> str:
    default = "*needed*" if needed else _code(field["default"]) if field.get("default") is not None else ""
    example = _code(field["examples"][0]) if field.get("examples") else ""
    down = " ↓" if any("$ref" in part for part in _parts(field)) else ""
    cells = [f"`{key}`{down}", field.get("description", ""), _values(field), default, example]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _values(field: dict[str, Any]) -> str:
    """Return the words that a key may be, and else its kinds."""
    words, kinds = [], []
    for part in _alternatives(field):
        if "enum" in part:
            words += [f"`{word}`" for word in part["enum"] if word is not None]
        else:
            types = part.get("type", [])
            types = [types] if isinstance(types, str) else types
            kinds += [_kind(name, part) for name in types if name != "null"]
    return ", ".join(dict.fromkeys(words + kinds))


def _kind(name: str, part: dict[str, Any]) -> str:
    """Return a type of JSON in words, with the bounds of a number."""
    if name == "string" and part.get("pattern", "").startswith(r"^\s*[-+]?(\d"):
        return "number with a unit"
    if name not in {"integer", "number"}:
        return {"object": "mapping", "array": "list", "string": "text", "boolean": "true, false"}[name]
    words = "whole number" if name == "integer" else "number"
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return words + "".join(f" {sign} {part[key]:g}" for key, sign in signs.items() if key in part)


def _alternatives(field: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the ways in which a value may be given."""
    if "anyOf" in field:
        for part in field["anyOf"]:
            yield from _alternatives(part)
    else:
        yield field


def _parts(field: Any) -> Iterator[dict[str, Any]]:
    if isinstance(field, dict):
        yield field
        for key, inner in field.items():
            if key not in {"examples", "default"}:
                yield from _parts(inner)
    elif isinstance(field, list):
        for inner in field:
            yield from _parts(inner)


def _code(value: Any) -> str:
    return f"`{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}`"


def commands_page() -> str:
    """Return the page of all commands with their help."""
    lines = [
        "# Commands",
        "",
        "What `heterodft COMMAND -h` prints. Exit codes: 0 done, 1 a foreseen error, 2 wrong usage, 3 finished with",
        "failed calculations, 130 stopped by Ctrl-C. Results go to stdout, progress and notes to stderr.",
        "",
    ]
    for name in _COMMANDS:
        command = importlib.import_module(f"heterodft.cli.{name}").command
        lines += [f"## heterodft {name}", "", *_help(command, f"heterodft {name}"), ""]
        if isinstance(command, click.Group):
            for inner, part in sorted(command.commands.items()):
                lines += [f"### heterodft {name} {inner}", "", *_help(part, f"heterodft {name} {inner}"), ""]
    return "\n".join(lines).rstrip() + "\n"


def _help(command: click.Command, name: str) -> list[str]:
    context = click.Context(command, info_name=name, terminal_width=100, max_content_width=100)
    return ["```text", *(line.rstrip() for line in command.get_help(context).splitlines()), "```"]


PAGES = {"reference/campaign-keys.md": campaign_page, "reference/commands.md": commands_page}
"""Path in docs, and what makes the text of the page."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages to those of the site; mkdocs calls it."""
    from mkdocs.structure.files import File

    for path, page in PAGES.items():
        files.append(File.generated(config, path, content=page()))
    return files


if __name__ == "__main__":
    for make in PAGES.values():
        print(make())
