"""`spr completion`: what makes a shell complete commands, options and files."""

import click

# Where each shell looks without more settings, but for zsh, which has to be told.
PLACES = {
    "bash": "# spr completion bash > ~/.local/share/bash-completion/completions/spr",
    "zsh": "# spr completion zsh > ~/.zfunc/_spr\n"
    "# and in ~/.zshrc: fpath+=~/.zfunc; autoload -Uz compinit; compinit",
    "fish": "# spr completion fish > ~/.config/fish/completions/spr.fish",
}


@click.command()
@click.argument("shell", type=click.Choice([*PLACES]))
def command(shell: str) -> None:
    """Print what makes SHELL complete the words of `spr`, and say where to put it.

    New shells have it: commands, options, their choices, files and collections.

    \b
    spr completion bash > ~/.local/share/bash-completion/completions/spr
    spr completion zsh > ~/.zfunc/_spr
    spr completion fish > ~/.config/fish/completions/spr.fish
    """
    from click.shell_completion import get_completion_class

    from spr_cli.main import cli

    made = get_completion_class(shell)
    assert made is not None
    script = made(cli, {}, "spr", "_SPR_COMPLETE").source().strip()
    # zsh finds a function by the first line of its file.
    first, _, rest = script.partition("\n")
    parts = [first, PLACES[shell], rest] if first.startswith("#compdef") else [PLACES[shell], script]
    click.echo("\n".join(parts))
