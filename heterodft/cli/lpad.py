"""``heterodft lpad``: FireWorks' own command on the queue."""

from __future__ import annotations

import click

__all__ = ["command"]


@click.command(
    "lpad",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Run a command of FireWorks' lpad on the queue: all ARGUMENTS are lpad's.

    Example: heterodft lpad get_fws -s READY -d ids
    """
    from heterodft.workflows.queue.lpad import run_lpad
    from heterodft.workflows.settings_file import load_settings

    run_lpad(arguments, load_settings())
