"""A line of progress on stderr, for commands that copy or read much: how much, how fast, how long yet."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import click


class Progress:
    """A line that appears with the first step; silent with `--json` and where stderr is no terminal."""

    def __init__(self, silent: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._silent = silent or not sys.stderr.isatty()
        self._shown, self._clock = False, clock
        self._stage, self._first, self._began = "", 0, 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            click.echo("\r\033[K", nl=False, err=True)

    def tell(self, stage: str, done: int, total: int) -> None:
        """Show how much of a stage is done."""
        if not self._silent:
            self._shown = True
            share = done / total if total else 1.0
            click.echo(f"\r\033[K{stage} {share:.0%}{self._pace(stage, done, total)}", nl=False, err=True)

    def _pace(self, stage: str, done: int, total: int) -> str:
        """Return how fast the stage goes, and how long it takes yet; empty until that is known."""
        if stage != self._stage:
            self._stage, self._first, self._began = stage, done, self._clock()
        rate = (done - self._first) / max(self._clock() - self._began, 1e-9)
        return f", {rate:,.1f}/s, {(total - done) / rate:.0f} s left" if 0 < rate and done < total else ""
