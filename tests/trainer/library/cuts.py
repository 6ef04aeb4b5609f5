"""Checks every state, or a sample of them, that power cuts may leave of a recording."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.power_cut import Recording, State

Check = Callable[[Path, State], None]
# States a test that are checked each time, evenly spread; all of them every night.
SOME = 24
HOW_MANY = [pytest.param(SOME, id="some"), pytest.param(0, id="all", marks=pytest.mark.nightly)]


def record(root: Path, run: Callable[[Recording], None]) -> Recording:
    """Record what `run` does below a directory, from a synced state on."""
    spare = root.with_name("spare")
    shutil.rmtree(spare, ignore_errors=True)
    spare.mkdir()
    with Recording(root, spare) as recording:
        run(recording)
    return recording


def every_state(recording: Recording, scratch: Path, check: Check, most: int = 0, begin: int = 0) -> int:
    """Check `most` of the states that a power cut may leave, all for 0; return how many were checked.

    begin: the number of the first operation before which it happens.
    """
    states = list(recording.states(begin))
    chosen = states
    if most and len(states) > most:
        chosen = [states[number * (len(states) - 1) // (most - 1)] for number in range(most)]
    for state in chosen:
        target = scratch / "state"
        state.write(target)
        try:
            check(target, state)
        except Exception as error:
            raise AssertionError(f"a power cut before {state.before}, {state.kind}: {error}") from error
        for path in target.rglob("*"):
            if path.is_file():
                os.chmod(path, 0o644)
        shutil.rmtree(target)
    return len(chosen)
