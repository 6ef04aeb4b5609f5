"""`spr eval`: how good the answers are; `spr eval compare`: which of two runs is better."""

import click

from spr_cli.lazy import lazy_group

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
        named = bool(args) and args[0] in COMMANDS
        rest: list[str] = super().parse_args(ctx, args if named else [MEASURE, *args])
        return rest


@click.group(cls=_Eval)
def command() -> None:
    """Measure how good the answers are, and compare runs."""
