"""Stage, publish and prune generations: a file lock admits one builder, a rename publishes atomically."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine import manifest
from engine.errors import SprError, Unavailable
from engine.files import sync
from engine.generation_lock import locked_for_removal
from engine.manifest import Manifest

_BUILDING = ".building-"
_REMOVED = ".removed-"


@contextlib.contextmanager
def only_builder(collection: Path) -> Iterator[Path]:
    """Yield the directory of generations, locked against a second builder and swept of what killed ones left.

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


@dataclass
class Staging:
    """A generation while it is made: its directory, and the name it is to have, set before the end."""

    path: Path
    name: str = ""


@contextlib.contextmanager
def staged(generations: Path) -> Iterator[Staging]:
    """Yield a new directory; on success it becomes the generation of its name, on failure it is removed.

    Its files are read-only from then on. One of the same name is replaced: who asks found it damaged.
    """
    staging = Staging(generations / f"{_BUILDING}{os.getpid()}")
    try:
        staging.path.mkdir()
        yield staging
        for path in staging.path.rglob("*"):
            if path.is_dir():
                sync(path)
            else:
                path.chmod(path.stat().st_mode & ~0o222)
        sync(staging.path)
        remove(generations / staging.name)
        staging.path.rename(generations / staging.name)
        sync(generations)
    except BaseException:
        shutil.rmtree(staging.path, ignore_errors=True)
        raise


def find(generations: Path, sources: str) -> Manifest | None:
    """Return the manifest of the generation that was made of `sources`, if every file of it is whole."""
    for path in sorted(generations.glob(f"[!.]*/{manifest.MANIFEST}")):
        with contextlib.suppress(SprError):
            about = manifest.read(path.parent)
            if about.sources == sources:
                manifest.verify(path.parent, about)
                return about
    return None


def check_room(generations: Path, needed: int) -> None:
    """Refuse (Unavailable) to begin what the disk cannot hold; `needed` bytes."""
    free = shutil.disk_usage(generations).free
    if free < needed:
        raise Unavailable(
            f"{generations} needs {needed / 2**20:.0f} MB for this generation and the disk has "
            f"{free / 2**20:.0f} MB free: make room, or remove old generations with --keep.",
            "DISK_FULL",
        )


def prune(collection: Path, keep: int, built: str) -> tuple[list[str], list[str]]:
    """Remove all but the `keep` newest generations; return the removed ids, and those still served.

    The current one and `built` count as newest and are never removed, nor is what a service has locked.
    """
    generations = collection / manifest.GENERATIONS
    spared = {built}
    with contextlib.suppress(SprError):
        spared.add(manifest.current(collection).name)
    made = {}
    for path in generations.iterdir():
        if not path.name.startswith(".") and (path / manifest.MANIFEST).is_file():
            with contextlib.suppress(SprError):
                made[path.name] = manifest.read(path).created
    newest = sorted(made, key=lambda name: (name in spared, made[name]), reverse=True)
    removed: list[str] = []
    served: list[str] = []
    for name in newest[keep:]:
        if name not in spared:
            with locked_for_removal(generations / name) as free:
                (removed if free else served).append(name)
                if free:
                    remove(generations / name)
    return sorted(removed), sorted(served)


def remove(generation: Path) -> None:
    """Remove a generation: renamed away first, so that no reader opens half of it."""
    if generation.exists():
        trash = generation.with_name(f"{_REMOVED}{generation.name}")
        generation.rename(trash)
        shutil.rmtree(trash)
