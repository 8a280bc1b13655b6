"""``heterodft settings``: each setting and where it comes from."""

from __future__ import annotations

from pathlib import Path

import click

from heterodft.cli.common import echo_json, json_option, print_table, read_campaign

__all__ = ["command"]


@click.command("settings")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--cores", type=click.IntRange(min=1), help="As given to heterodft run.")
@json_option
def command(file: Path | None, cores: int | None, as_json: bool) -> None:
    """Show each setting of this machine and where it comes from; with a campaign FILE, what it says of running, too.

    Later ones win: default, files of ASE and FireWorks, ~/.config/heterodft/settings.yaml, heterodft.yaml in the
    working folder, environment variables, the campaign, the command line. Passwords are not shown.

    Example: heterodft settings
    """
    from heterodft.workflows.settings_table import settings_table

    given = None if file is None else read_campaign(file).run.command
    rows = settings_table(command=given, command_from=f"campaign {file}", cores=cores)
    if as_json:
        echo_json([vars(row) for row in rows])
        return
    print_table(
        "",
        ["setting", "value", "comes from", "variable", "meaning"],
        [[r.key, "–" if r.value is None else r.value, r.origin, r.variable, r.meaning] for r in rows],
        spare=("meaning", "variable"),
    )
