"""``heterodft init``: a commented campaign file to start from."""

from __future__ import annotations

import re
from pathlib import Path

import click

from heterodft.cli import candidates
from heterodft.cli.common import echo_json, json_option, print_table

__all__ = ["command"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@click.command("init")
@click.argument("name", required=False)
@click.option("-t", "--template", metavar="TEMPLATE", shell_complete=candidates.templates,
              help="What to start from; superlattice by default.")  # fmt: skip
@click.option("-l", "--list", "as_list", is_flag=True, help="List the templates, and write nothing.")
@json_option
def command(name: str | None, template: str | None, as_list: bool, as_json: bool) -> None:
    """Write NAME.yaml, a campaign file with every key explained; without NAME campaign.yaml.

    Beside it goes campaign.schema.json, with which editors complete and check the file. Nothing is overwritten.

    Templates are superlattice, defects, u-scan, and the examples with the papers among them.

    Example: heterodft init sto-lao --template defects
    """
    from heterodft.workflows.starters import find_starter, known_starters, starter_text

    if as_list:
        if name is not None or template is not None:
            raise click.UsageError(f"--list writes nothing; leave out --list, or {'NAME' if name else '--template'}")
        rows = [[starter.name, starter.line] for starter in known_starters().values()]
        if as_json:
            echo_json([dict(zip(("name", "line"), row, strict=True)) for row in rows])
        else:
            print_table("", ["template", "what for"], rows)
        return
    file = _file_for(name)
    starter = find_starter(template or "superlattice")
    beside = file.with_name(f"{file.stem}-published.yaml")
    texts = {file: starter_text(starter, name=None if name is None else file.stem, published=beside.name)}
    if starter.published is not None:
        texts[beside] = starter.published.read_text(encoding="utf-8")
    _write_new(texts)
    _write_schema(file.parent)
    if as_json:
        echo_json({"file": str(file), "template": starter.name})
        return
    click.echo(f"{file}: {starter.line}")
    click.echo(f"Edit it, then see what it asks for: heterodft plan {file}")


def _file_for(name: str | None) -> Path:
    if name is None:
        return Path("campaign.yaml")
    path = Path(name)
    is_file = path.suffix in (".yaml", ".yml")
    stem = path.stem if is_file else path.name
    if not _NAME.fullmatch(stem):
        raise click.BadParameter(
            f"'{stem or name}' is no name; begin with a letter or digit, then letters, digits, '.', '_' or '-'",
            param_hint="NAME",
        )
    return path if is_file else path.with_name(f"{stem}.yaml")


def _write_new(texts: dict[Path, str]) -> None:
    from heterodft.errors import StorageError
    from heterodft.files import make_folder, write_text

    for file in texts:
        if file.exists():
            raise StorageError(f"{file} is there already and is left as it is; give another NAME, or remove it first")
    for file, text in texts.items():
        make_folder(file.parent)
        write_text(file, text)


def _write_schema(folder: Path) -> None:
    """Write the schema beside the file, unless another one of that name is not ours."""
    from heterodft.files import write_text
    from heterodft.workflows.campaign_schema import SCHEMA_NAME, is_ours, published_schema

    path = folder / SCHEMA_NAME
    if not path.exists() or is_ours(path):
        write_text(path, published_schema())
