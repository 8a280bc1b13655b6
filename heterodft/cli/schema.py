"""``heterodft schema``: the JSON schema of the campaign file."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["command"]


@click.command("schema")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it into this file.")
def command(output: Path | None) -> None:
    """Print the JSON schema of the campaign file, which editors complete and check it with.

    The first line of a campaign file names it: # yaml-language-server: $schema=campaign.schema.json

    Example: heterodft schema -o campaign.schema.json
    """
    from heterodft.workflows.campaign_schema import published_schema

    if output is None:
        click.echo(published_schema(), nl=False)
        return
    from heterodft.files import make_folder, write_text

    make_folder(output.parent)
    write_text(output, published_schema())
    click.echo(f"{output}: name it in the first line of a campaign: # yaml-language-server: $schema={output}")
