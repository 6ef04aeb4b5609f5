"""A bar of progress on stderr, for commands that copy or read much."""

import sys
from types import TracebackType
from typing import Self

import click


class Progress:
    """A bar that appears with the first step; silent with `--json` and where stderr is no terminal."""

    def __init__(self, silent: bool) -> None:
        self._silent = silent or not sys.stderr.isatty()
        self._shown = False

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
            click.echo(f"\r\033[K{stage} {share:.0%}", nl=False, err=True)
