"""Remove versions that are not kept, then parts and quantizers that no version lists."""

import contextlib
from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path

from engine import parts, versions
from engine.entries import Version
from engine.errors import InvalidInput, SprError
from engine.files import read_name, replacing, sync
from engine.frozen import QUANTIZERS
from engine.partials import ENDING, all_partials, remove_abandoned
from engine.staging import remove, sweep
from engine.version_lock import locked_for_removal
from trainer.generation.frozen import frozen_files

# Names the number of the version that a purge made, while an older one is left: whoever removes versions next
# goes on with it.
PURGE = "PURGE"


@dataclass(frozen=True, slots=True)
class Garbage:
    """What was removed: ids of versions and of parts, quantizers by name; bytes of the parts.

    held: ids of versions that would have gone, but that a process serves.
    """

    versions: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    quantizers: list[str] = field(default_factory=list)
    bytes: int = 0


def collect_garbage(collection: Path, keep: int, spared: Set[str] = frozenset()) -> Garbage:
    """Remove all but the `keep` newest versions, and what only those listed; return what is gone.

    The current version and those of the ids `spared` count among the newest and are never removed, nor is
    the one of the largest number, or one that a process holds; the parent of the current one, to which a
    rollback leads, counts as the newest of the others. Of others than these none from before a purge stays.
    What killed processes were writing goes too.
    The caller holds the writer's lock.
    Raises what is wrong with the current version where it cannot be read: nobody knows which parts it needs.
    Safe against a kill at any moment.
    """
    sweep(collection)
    made = _versions(collection)
    current = versions.newest(collection)
    parent = versions.read(collection, current).parent if current else ""
    wanted = {current, *spared}
    newest = sorted(made, key=lambda name: (name in wanted, name == parent, name), reverse=True)
    # Also one of the largest number that a rollback left: no number is to be given twice.
    safe = {*wanted, max(made, default="")}
    purged = _purged(collection)
    old = {name for name, about in made.items() if about.number < purged}
    removed: list[str] = []
    held: list[str] = []
    for place, name in enumerate(newest):
        if name not in safe and (place >= max(keep, 1) or name in old):
            with locked_for_removal(collection, name) as free:
                (removed if free else held).append(name)
                if free:
                    versions.path_of(collection, name).unlink()
    for folder in (versions.VERSIONS, QUANTIZERS):
        _sweep_partials(collection / folder)
    # Trainings and ingests write beside whoever holds the lock.
    remove_abandoned(all_partials(collection, 5))
    kept = [about for name, about in made.items() if name not in removed]
    gone, size = _collect_parts(collection, kept)
    quantizers = _collect_quantizers(collection, kept)
    if purged and not old.intersection(held):
        (collection / PURGE).unlink()
    return Garbage(sorted(removed), sorted(held), gone, quantizers, size)


def let_none_before_stay(collection: Path, version: str) -> None:
    """Have versions of before this one removed by every `collect_garbage`, until none is left."""
    with replacing(collection / PURGE) as partial:
        partial.write_text(f"{versions.read(collection, version).number}\n", encoding="utf-8")


def is_purging(collection: Path) -> bool:
    """Whether versions of before a purge are left, as somebody holds them."""
    return (collection / PURGE).exists()


def _purged(collection: Path) -> int:
    """Return the number of the version that a purge made which is not at its end, 0 for none."""
    path = collection / PURGE
    try:
        name = read_name(path)
    except FileNotFoundError:
        return 0
    if versions.NUMBER.fullmatch(name) is None:
        raise InvalidInput(f"{path} holds no number of a version: remove it, and purge again.")
    return int(name)


def _versions(collection: Path) -> dict[str, Version]:
    """Return the versions that can be read, by id; one that cannot be is left where it is."""
    found = {}
    for number in versions.numbers(collection):
        with contextlib.suppress(SprError):
            about = versions.read(collection, str(number))
            found[about.id] = about
    return found


def _sweep_partials(folder: Path) -> None:
    """Remove what killed writers left, and make what was removed stay so."""
    if folder.is_dir():
        for left in folder.glob(f".*{ENDING}"):
            left.unlink()
        sync(folder)


def _collect_parts(collection: Path, kept: list[Version]) -> tuple[list[str], int]:
    listed = {entry.id for about in kept for entry in about.parts}
    gone = sorted(path.name for path in (collection / parts.PARTS).glob("[!.]*") if path.name not in listed)
    size = 0
    for part in gone:
        size += sum(
            path.stat().st_size for path in parts.directory(collection, part).rglob("*") if path.is_file()
        )
        remove(collection, part)
    return gone, size


def _collect_quantizers(collection: Path, kept: list[Version]) -> list[str]:
    listed = {path for about in kept for path in frozen_files(collection, about)}
    gone = [path for path in (collection / QUANTIZERS).glob("[!.]*") if path not in listed]
    for path in gone:
        path.unlink()
    return sorted(path.name for path in gone)
