"""A click group that imports a command only when it runs, so that `--help` is instant."""

import difflib
import importlib
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class LazyGroup(click.Group):
    """Commands named with their one-line help; each is in the module beside its name.

    There it is `command`, or what follows a colon: "module:name".
    """

    modules: dict[str, tuple[str, str]]

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order they were given."""
        return list(self.modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module and return its `command`."""
        if cmd_name not in self.modules:
            return None
        module, _, name = self.modules[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name or "command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that `args` begin with; for another word, say which command is near it."""
        if args[0] not in self.modules and not args[0].startswith("-") and not ctx.resilient_parsing:
            # "import" alone is nearer to "export" than to "import-moments".
            nearest = [name for name in self.modules if args[0] and name.startswith(args[0])]
            nearest = nearest or difflib.get_close_matches(args[0], self.modules, 1)
            meant = f" Did you mean {' or '.join(map(repr, nearest))}?" if nearest else ""
            raise click.NoSuchCommand(args[0], f"No such command {args[0]!r}.{meant}", ctx=ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Return the commands that begin so, without importing them, and the group's options."""
        from click.shell_completion import CompletionItem

        listed = [
            CompletionItem(name, help=text)
            for name, (_, text) in self.modules.items()
            if name.startswith(incomplete)
        ]
        return [*listed, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.modules.items()])


def left_out(default: click.Command, incomplete: str) -> "list[CompletionItem]":
    """Return what completes the first word of a command that may be left out: its options, and files."""
    from click.shell_completion import CompletionItem

    if incomplete.startswith("-"):
        return default.shell_complete(click.Context(default), incomplete)
    return [CompletionItem(incomplete, type="file")]


def lazy_group(modules: dict[str, tuple[str, str]]) -> type[LazyGroup]:
    """Return a group class for `{command: (module, one-line help)}`."""
    return type("Commands", (LazyGroup,), {"modules": modules})
