"""Snapshots: a version and all that it needs, copied to another place; what is there is not copied again."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from engine import parts, staging, versions
from engine.entries import Version, refuse
from engine.errors import InvalidInput, NotFound, SprError, quoted
from engine.files import MALFORMED, make_folder, refusal
from engine.places import Directory, Place, open_place
from engine.verification import verify
from engine.version_lock import LOCKLESS, held, only_writer
from trainer.library import judgements
from trainer.library.contents import Item, items_of
from trainer.library.verify import damaged

OnProgress = Callable[[str, int, int], None]


def snapshot(
    collection: Path,
    destination: str,
    version: str = "",
    on_progress: OnProgress | None = None,
    patience: float | None = None,
) -> tuple[Version, int]:
    """Copy a version, the current one for "", to a directory or fsspec URL; return it and the bytes copied.

    The destination has the layout of a collection and becomes current at the end: an interrupted snapshot
    leaves the one before, and goes on when it is called again. Models outside the collection are refused, and
    (Unavailable) a directory that another process writes for longer than `patience`, see `only_writer`.
    """
    found = versions.read(collection, version)
    place = open_place(destination)
    _check_apart(collection, place)
    with held(collection, found.id), _alone(place, patience):
        _check_own(collection, found, place)
        # A copy of what is damaged would be no backup.
        for said in damaged(collection, [found]):
            raise refuse(said)
        copied = _Copy(place, on_progress or (lambda *_: None), sum(_bytes(collection, found)))
        for entry in found.parts:
            copied.part(collection, entry.id)
        for item in items_of(collection, found):
            copied.item(item)
        if judged := judgements.copied(collection):
            place.write(judgements.FILE, judged)
        path = versions.path_of(collection, found.id)
        name = f"{versions.VERSIONS}/{path.name}"
        content = path.read_bytes()
        if not place.create(name, content) and (there := place.read(name)) != content:
            if not content.startswith(there):
                raise _shared(place, f"another version {found.number}")
            # A snapshot that was killed, where files are not written whole.
            place.write(name, content)
        place.write(versions.CURRENT, f"{found.id}\n".encode())
    return found, copied.bytes


@contextlib.contextmanager
def _alone(place: Place, patience: float | None) -> Iterator[None]:
    """Be the only writer of a place that is a directory: others would remove what no version there lists yet.

    Unavailable (WRITER_RUNNING) where another process goes on writing there.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(place, Directory):
            try:
                make_folder(place.path)
                stack.enter_context(only_writer(place.path, "snapshot", patience))
                staging.sweep(place.path)
            except OSError as error:
                # A share without locks, as backups may lie on, protects nothing.
                if error.errno not in LOCKLESS:
                    raise
        yield


def _check_apart(collection: Path, place: Place) -> None:
    if isinstance(place, Directory) and place.path.resolve().is_relative_to(collection.resolve()):
        message = f"{place.name} lies inside the collection {collection}: choose another destination."
        raise InvalidInput(message)


def _check_own(collection: Path, found: Version, place: Place) -> None:
    """Refuse a place whose current version is another collection's, before anything there is written over.

    A version that this collection no longer has is its own where it has its name.
    """
    try:
        path = versions.path_of(collection, place.read(versions.CURRENT).decode().strip())
        there = place.read(f"{versions.VERSIONS}/{path.name}")
        name = json.loads(there)["collection"]
    except (FileNotFoundError, NotFound, *MALFORMED):  # none, or a damaged one, which is written anew
        return
    own = path.read_bytes() == there if path.exists() else name == found.collection
    if not own:
        raise _shared(place, f"the collection {quoted(name)}")


def _shared(place: Place, held: str) -> InvalidInput:
    message = f"{place.name} holds {held}: snapshots of two collections do not share a place"
    return InvalidInput(f"{message}; choose another destination.")


def _bytes(collection: Path, version: Version) -> list[int]:
    return [parts.read(collection, entry.id)[0].bytes for entry in version.parts]


class _Copy:
    """Copies what is missing at a place. bytes: how many so far."""

    def __init__(self, place: Place, on_progress: OnProgress, total: int) -> None:
        self.bytes = 0
        self._place, self._tell, self._total, self._done = place, on_progress, total, 0

    def part(self, collection: Path, part: str) -> None:
        """Copy a part, its part.json last: that it is there says that the part is whole."""
        about, _ = parts.read(collection, part)
        folder = f"{parts.PARTS}/{part}"
        home = parts.directory(collection, part)
        there = self._place.sizes(folder)
        missing = [
            name for name, entry in about.files.items() if there.get(f"{folder}/{name}") != entry.bytes
        ]
        verify(home, about, missing)
        for name, entry in about.files.items():
            if name in missing:
                self._replace(home / name, f"{folder}/{name}")
            self._done += entry.bytes
            self._tell("copy", self._done, self._total)
        last = (home / parts.PART).read_bytes()
        if f"{folder}/{parts.PART}" not in there or self._place.read(f"{folder}/{parts.PART}") != last:
            self._place.write(f"{folder}/{parts.PART}", last)

    def item(self, item: Item) -> None:
        """Copy another file, unless it is there; small ones that change are written anew.

        What went with its video meanwhile, or with what replaced it, is left out.
        """
        try:
            self._item(item)
        except (OSError, SprError) as error:
            if not (item.lasting or item.path.exists()):
                return
            if isinstance(error, IsADirectoryError):
                raise refusal(error, item.path if item.path.is_dir() else None) from None
            raise

    def _item(self, item: Item) -> None:
        if not item.immutable:
            self._place.write(item.name, item.path.read_bytes())
        elif self._place.sizes(item.name.rpartition("/")[0]).get(item.name) != item.path.stat().st_size:
            self._replace(item.path, item.name)

    def _replace(self, source: Path, name: str) -> None:
        if isinstance(self._place, Directory):
            (self._place.path / name).unlink(missing_ok=True)
        self._place.store(source, name)
        self.bytes += source.stat().st_size
