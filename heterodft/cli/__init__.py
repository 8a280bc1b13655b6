"""The command line: one small file a command, imported only when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

import click

from heterodft import __version__
from heterodft.errors import HeterodftError, did_you_mean

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["cli", "main"]

_COMMANDS = {
    "init": "Write a commented campaign file to start from.",
    "schema": "Print the JSON schema of the campaign file, for editors.",
    "build": "Build the structures of a campaign: POSCAR, JSON and a table.",
    "plan": "List every calculation with its size and cost; write nothing.",
    "inputs": "Write every input file, as it would be run.",
    "submit": "Put the calculations into the queue, each once.",
    "converge": "Drive cutoff, k-mesh, U … until a tolerance holds, and say what to use.",
    "run": "Run what is queued with local workers, showing progress.",
    "launch": "Run what is queued in jobs of Slurm, PBS, SGE or LSF.",
    "status": "Show what is waiting, running, done, failed and why.",
    "cancel": "Stop calculations, running ones too; nothing on disk is deleted.",
    "pause": "Start no more of these calculations for now.",
    "resume": "Let paused calculations run again.",
    "retry": "Put failed or cancelled calculations back into the queue.",
    "lpad": "FireWorks' lpad on the queue: heterodft lpad get_fws -s READY -d ids",
    "analyze": "Say what any finished VASP or Quantum ESPRESSO folder holds, by layer.",
    "report": "Tables, figures and one HTML page from the finished folders.",
    "pseudos": "Show and install pseudopotentials.",
    "doctor": "Check this machine: programs, pseudopotentials, queue, disk; each problem with its remedy.",
    "settings": "Show each setting and where it comes from.",
    "completion": "Print the completion script of bash, zsh or fish.",
}


class _LazyGroup(click.Group):
    """A group that imports a command's module only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"heterodft.cli.{cmd_name}").command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        commands = [CompletionItem(n, help=text) for n, text in _COMMANDS.items() if n.startswith(incomplete)]
        return commands or super().shell_complete(ctx, incomplete)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in _COMMANDS and not name.startswith("-"):
            ctx.fail(f"no command '{name}'{did_you_mean(name, _COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="heterodft")
def cli() -> None:
    """First-principles workflow manager for heterostructures.

    A campaign file goes in; structures, inputs, runs and layer-resolved answers come out:

    \b
      heterodft submit campaign.yaml
      heterodft run
      heterodft report campaign.yaml -o report

    Exit codes: 0 done, 1 a foreseen error, 2 wrong usage, 3 finished with failed calculations.
    """  # noqa: D301, the backspace tells click to keep the lines


def main() -> None:
    """Run the command line and turn every foreseen failure into one line and an exit code."""
    try:
        sys.exit(cli.main(prog_name="heterodft", standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except HeterodftError as error:
        click.echo(f"heterodft: {error}", err=True)
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        click.echo("heterodft: stopped; nothing is lost, the same command goes on from here", err=True)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output, such as head, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


if __name__ == "__main__":
    main()
