"""``heterodft inputs``: every input file, as it would be run."""

from __future__ import annotations

from pathlib import Path

import click

from heterodft.cli.common import campaign_file, read_campaign, request_chains, settings_for

__all__ = ["command"]


@click.command("inputs")
@campaign_file
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("inputs"), show_default=True)
@click.option("--pw-version", metavar="X.Y", help="Write for this version of pw.x instead of the installed one.")
def command(file: Path, output: Path, pw_version: str | None) -> None:
    """Write every input file of the campaign FILE, as it would be run.

    Example: heterodft inputs campaign.yaml -o inputs
    """
    from heterodft.files import make_folder, write_text
    from heterodft.workflows.calculation import write_request
    from heterodft.workflows.runner import prepare_inputs

    version = _version(pw_version)
    campaign = read_campaign(file)
    settings = settings_for(campaign)
    requests = [request for chain in request_chains(campaign, settings) for request in chain]
    # All texts before the first file, so that a mistake in the last leaves nothing half-written.
    texts = [prepare_inputs(request, settings, version=version) for request in requests]
    for request, files in zip(requests, texts, strict=True):
        folder = make_folder(output / request.path)
        write_request(request, folder)
        for name, text in files.items():
            write_text(folder / name, text)
    click.echo(f"{sum(map(len, texts))} input files of {len(requests)} calculations in {output / campaign.name}")


def _version(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    major, _, minor = text.partition(".")
    if not (major.isdigit() and minor.isdigit()):
        raise click.BadParameter(f"'{text}' is no version; write it as 6.7", param_hint="--pw-version")
    return int(major), int(minor)
