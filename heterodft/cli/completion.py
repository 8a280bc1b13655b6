"""``heterodft completion``: completion of commands, options and values by the shell."""

from __future__ import annotations

import click

__all__ = ["command"]

_SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(_SHELLS))
def command(shell: str) -> None:
    """Print the completion script of a SHELL. Written where the shell looks for it, new windows have it:

    \b
      bash  mkdir -p ~/.local/share/bash-completion/completions
            heterodft completion bash > ~/.local/share/bash-completion/completions/heterodft
      zsh   mkdir -p ~/.zfunc; heterodft completion zsh > ~/.zfunc/_heterodft
            with "fpath+=~/.zfunc" before compinit in ~/.zshrc
      fish  heterodft completion fish > ~/.config/fish/completions/heterodft.fish

    For this window alone: eval "$(heterodft completion bash)"

    Example: heterodft completion bash
    """  # noqa: D301, the backspace tells click to keep the lines
    from click.shell_completion import get_completion_class

    from heterodft.cli import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise click.BadParameter(f"no completion for {shell}", param_hint="SHELL")
    script = kind(cli, {}, "heterodft", "_HETERODFT_COMPLETE")
    text = script.source_template % script.source_vars()
    # click's script for fish cuts a description at its first comma
    click.echo(text.replace('string split ","', 'string split --max 1 ","'))
