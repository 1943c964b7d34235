"""``completion``: print the script with which a shell completes the command line."""

from __future__ import annotations

import click
import cloup
from click.shell_completion import get_completion_class

from segment2inpaint.cli.options import examples

SHELLS = ("bash", "zsh", "fish")
PROGRAM = "segment2inpaint"
VARIABLE = "_SEGMENT2INPAINT_COMPLETE"  # the name that Click derives from the program's


@cloup.command(
    epilog=examples(
        "completion bash > ~/.segment2inpaint-complete.bash",
        "completion zsh > ~/.segment2inpaint-complete.zsh",
        "completion fish > ~/.config/fish/completions/segment2inpaint.fish",
    )
)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print a script for shell completion.

    With it, the Tab key completes commands, options, files and the names of models.

    Install it once: save the script with the command for your shell below. In bash and zsh, then
    add one line to the shell's startup file and open a new terminal. fish needs no such line.

    \b
      ~/.bashrc:  source ~/.segment2inpaint-complete.bash
      ~/.zshrc:   source ~/.segment2inpaint-complete.zsh    (after compinit)
    """
    complete = get_completion_class(shell)
    assert complete is not None, shell
    program = click.get_current_context().find_root().command
    click.echo(complete(program, {}, PROGRAM, VARIABLE).source())
