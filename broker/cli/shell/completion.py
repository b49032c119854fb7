"""`completion`: the script that completes commands and options at Tab."""

import click
from click.shell_completion import get_completion_class

from broker.cli.ending import fail

PROGRAM, VARIABLE = "wecom-broker", "_WECOM_BROKER_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    r"""Print the completion script of SHELL.

    \b
    bash:  wecom-broker completion bash > ~/.local/share/bash-completion/completions/wecom-broker
    zsh:   wecom-broker completion zsh > "${fpath[1]}/_wecom-broker"
    fish:  wecom-broker completion fish > ~/.config/fish/completions/wecom-broker.fish
    """
    kind = get_completion_class(shell)
    if kind is None:  # pragma: no cover - click has all three
        fail(f"no completion for {shell}")
    click.echo(kind(context.find_root().command, {}, PROGRAM, VARIABLE).source())
