"""How `spr serve` tells what is up while it starts."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.supervisor import Status


class Progress:
    """What is up so far: one changing line on a terminal, a line for each process otherwise."""

    def __init__(self, terminal: bool, put: Callable[[str], None], silent: bool) -> None:
        self._terminal, self._put, self._silent = terminal, put, silent
        self._shown: set[str] = set()

    def show(self, status: "Status") -> None:
        """Tell of a change."""
        if self._silent:
            return
        up = [name for name, state in status.states.items() if state == "ready"]
        head = f"{len(up)}/{len(status.states)} processes ready, {status.seconds:.1f} s"
        if self._terminal:
            waiting = [name for name, state in status.states.items() if state != "ready"]
            tail = f"; waiting for {_some(waiting)}" if waiting else "; waiting for the first health report"
            self._put(f"\r\033[K{head}{tail}")
        else:
            for name in up:
                if name not in self._shown:
                    self._put(f"{name} is ready ({head})\n")
            self._shown.update(up)

    def end(self) -> None:
        """Leave the changing line."""
        if self._terminal and not self._silent:
            self._put("\r\033[K")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
