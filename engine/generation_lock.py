"""Locks on generations: shared while one is served, exclusive while one is removed.

They are `flock` locks on the generation's directory, so the kernel releases those of a killed process.
"""

import contextlib
import dataclasses
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from engine import manifest
from engine.config import Topology
from engine.errors import NotFound


@contextlib.contextmanager
def locked_for_serving(topology: Topology) -> Iterator[Topology]:
    """Hold a shared lock on the topology's generation; yield the topology pinned to it.

    The generation is the topology's, or the current one where it names none. NotFound if there is none.
    """
    directory = manifest.generation_dir(topology.collection, topology.generation)
    with _opened(directory) as number:
        with contextlib.suppress(OSError):  # a file system without locks protects nothing
            fcntl.flock(number, fcntl.LOCK_SH)
        if not directory.exists() or not os.path.samestat(os.fstat(number), directory.stat()):
            raise NotFound(f"{directory} was removed just now; start again.", "GENERATION_NOT_FOUND")
        yield dataclasses.replace(topology, generation=directory.name)


@contextlib.contextmanager
def locked_for_removal(generation: Path) -> Iterator[bool]:
    """Try for an exclusive lock on a generation; yield whether it was taken, that is, nobody serves it."""
    with _opened(generation) as number:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


@contextlib.contextmanager
def _opened(directory: Path) -> Iterator[int]:
    number = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield number
    finally:
        os.close(number)
