"""The option type of time limits."""

import math

import click

LONGEST = 1e8  # three years; gRPC takes what is far beyond for a moment in the past


class Seconds(click.ParamType[float]):
    """A number above 0; infinity, and what is as good as that, for no limit."""

    name = "seconds"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        try:
            seconds = float(str(value))
        except ValueError:
            seconds = math.nan
        if not seconds > 0:
            self.fail(f"{value!r} is no time limit; give seconds above 0, or inf for none", param, ctx)
        return seconds if seconds < LONGEST else math.inf


SECONDS = Seconds()
