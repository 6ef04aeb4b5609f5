"""Generations on disk while they are made: one builder at a time, whole or absent, old ones kept."""

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

from engine import manifest
from engine.errors import SprError, Unavailable
from engine.files import sync
from engine.holding import unheld

_BUILDING = ".building-"
_REMOVED = ".removed-"


@contextlib.contextmanager
def only_builder(collection: Path) -> Iterator[Path]:
    """Yield the directory of generations, held against a second builder and swept of what killed ones left.

    Unavailable while another build is running.
    """
    generations = collection / manifest.GENERATIONS
    generations.mkdir(parents=True, exist_ok=True)
    with (generations / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"another build of {collection} is running; wait for it, or stop it."
            raise Unavailable(message, "BUILD_RUNNING") from None
        for left in [*generations.glob(f"{_BUILDING}*"), *generations.glob(f"{_REMOVED}*")]:
            shutil.rmtree(left)
        yield generations


@contextlib.contextmanager
def staged(generations: Path, name: str) -> Iterator[Path]:
    """Yield a new directory; on success it becomes the generation `name`, on failure it is removed."""
    building = generations / f"{_BUILDING}{name}"
    building.mkdir()
    try:
        yield building
        for folder in (*(path for path in building.iterdir() if path.is_dir()), building):
            sync(folder)
        remove(generations / name)
        building.rename(generations / name)
        sync(generations)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def is_whole(generation: Path) -> bool:
    """Tell whether a generation is there with every file as its manifest says."""
    try:
        manifest.verify(generation, manifest.read(generation))
    except SprError:
        return False
    return True


def prune(collection: Path, keep: int, built: str) -> list[str]:
    """Remove all but the `keep` newest generations; return the removed ids.

    The current one and `built` count as newest and are never removed, nor is what a service holds.
    """
    generations = collection / manifest.GENERATIONS
    spared = {built}
    with contextlib.suppress(SprError):
        spared.add(manifest.current(collection).name)
    made = {}
    for path in generations.iterdir():
        if not path.name.startswith(".") and (path / manifest.MANIFEST).is_file():
            made[path.name] = manifest.read(path).created
    newest = sorted(made, key=lambda name: (name in spared, made[name]), reverse=True)
    removed = []
    for name in newest[keep:]:
        with unheld(generations / name) as free:
            if free and name not in spared:
                remove(generations / name)
                removed.append(name)
    return sorted(removed)


def remove(generation: Path) -> None:
    """Remove a generation: gone by one rename, so that nobody opens half of it."""
    if generation.exists():
        trash = generation.with_name(f"{_REMOVED}{generation.name}")
        generation.rename(trash)
        shutil.rmtree(trash)
