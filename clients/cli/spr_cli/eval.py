"""`spr eval`: how good the answers are; `spr eval compare`: which of two runs is better."""

from typing import TYPE_CHECKING

import click

from spr_cli.lazy import lazy_group, left_out

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

MEASURE = "measure"
COMMANDS = {
    MEASURE: ("spr_cli.eval_measure", "Measure one run; what `spr eval` does without a command."),
    "standing": ("spr_cli.eval_standing", "Measure the precision that standing searches reach."),
    "compare": ("spr_cli.eval_compare", "Compare two runs on the same truth."),
}


class _Eval(lazy_group(COMMANDS)):  # type: ignore[misc]
    """Measures unless another command is named, so that `spr eval RUN.json TRUTH.json` is enough."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command in front where it goes without saying."""
        if ctx.resilient_parsing and not args:
            return list(super().parse_args(ctx, args))  # `shell_complete` is asked
        named = bool(args) and args[0] in COMMANDS
        rest: list[str] = super().parse_args(ctx, args if named else [MEASURE, *args])
        return rest

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Return the commands, and what measuring takes without being named."""
        measure = self.get_command(ctx, MEASURE)
        return [*super().shell_complete(ctx, incomplete), *left_out(measure, incomplete)]


@click.group(cls=_Eval)
def command() -> None:
    """Measure how good the answers are, and compare runs.

    \b
    spr eval --collection c --truth c/annotations/val.json --run-out a.json
    spr eval compare a.json b.json
    """
