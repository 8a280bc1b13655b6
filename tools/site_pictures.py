"""A hook of MkDocs: the pictures of the page of the papers lie in the examples, from where the site takes them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def on_post_build(config: dict[str, Any], **_: Any) -> None:
    """Copy the pictures to where the links of the page lead."""
    for picture in sorted((ROOT / "examples").glob("*/results/*.svg")):
        place = Path(config["site_dir"]) / picture.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture, place)
