"""What is served is held: a shared lock on the generation's directory, which vanishes with its holders."""

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
def held(topology: Topology) -> Iterator[Topology]:
    """Yield the topology with its generation named, held against removal until the end.

    The generation is the topology's, or where it names none the one that is current now. NotFound if there is
    none.
    """
    directory = manifest.generation_dir(topology.collection, topology.generation)
    with _opened(directory) as number:
        with contextlib.suppress(OSError):  # a file system without locks holds nothing
            fcntl.flock(number, fcntl.LOCK_SH)
        if not directory.exists() or not os.path.samestat(os.fstat(number), directory.stat()):
            raise NotFound(f"{directory} was removed just now; start again.", "GENERATION_NOT_FOUND")
        yield dataclasses.replace(topology, generation=directory.name)


@contextlib.contextmanager
def unheld(generation: Path) -> Iterator[bool]:
    """Yield whether nobody holds a generation; if so, nobody can begin to until the end."""
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
