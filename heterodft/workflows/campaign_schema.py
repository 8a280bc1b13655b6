"""The JSON schema of the campaign file, which editors complete and check it with; made from its models."""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any

from heterodft.workflows.campaign import Campaign

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["SCHEMA_NAME", "campaign_schema", "is_ours", "published_schema", "schema_text"]

SCHEMA_NAME = "campaign.schema.json"
_TITLE = "heterodft campaign file"


def campaign_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12), short forms and units included; every key has its description."""
    schema = Campaign.model_json_schema()
    for part in _parts(schema):
        if "properties" in part or "type" in part or "anyOf" in part or "$ref" in part or "enum" in part:
            part.pop("title", None)  # the key once more
            if part.get("default") is None or isinstance(part["default"], dict):
                part.pop("default", None)  # of a section, or what the description says in words
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": _TITLE}
    return head | schema


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield the schema and every schema inside it; examples and defaults are none."""
    if isinstance(schema, dict):
        yield schema
        for key, inner in schema.items():
            if key in ("properties", "patternProperties", "$defs"):
                for one in inner.values():
                    yield from _parts(one)
            elif key not in ("examples", "default"):
                yield from _parts(inner)
    elif isinstance(schema, list):
        for one in schema:
            yield from _parts(one)


def schema_text() -> str:
    """Return the schema as the text of its file."""
    return json.dumps(campaign_schema(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def published_schema() -> str:
    """Return the text of the schema that comes with the package, without making it anew."""
    return (resources.files("heterodft.workflows") / SCHEMA_NAME).read_text(encoding="utf-8")


def is_ours(path: Path) -> bool:
    """Tell whether a file is a schema of campaign files, of this or another version."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("title") == _TITLE
