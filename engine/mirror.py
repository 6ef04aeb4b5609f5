"""A local copy of what this machine's processes read of a collection behind a URL.

It has the layout of a collection, without what no process of the machine reads. All of them share it: files
come under a temporary name, are verified by part.json, and renamed. CURRENT moves last, so that what
is there can be served while the store is away.
"""

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from engine import mirror_room, mirror_versions, names, parts, staging, version_lock, versions
from engine.catalogue import CATALOGUE
from engine.entries import FileEntry, Version, refuse
from engine.errors import NotFound, SprError, Unavailable
from engine.files import refusal, replacing, sha256
from engine.mirror_versions import AT_ONCE, REMEDY
from engine.places import Place
from engine.sources import Wants

POLL = 2.0  # seconds between looks at a store's CURRENT
_log = logging.getLogger("spr.mirror")


class Mirror:
    """See the module. most: bytes of parts that are kept; those that no held version lists go first."""

    def __init__(self, place: Place, home: Path, most: int, wants: Wants) -> None:
        self.home, self._place, self._most, self._wants = home, place, most, wants
        self._doubted = set[str]()
        self._closed = threading.Event()

    @contextlib.contextmanager
    def fetched(self, version: str) -> Iterator[str]:
        """See `Source`. Where the store's current version cannot be had, the newest that is here is.

        Unavailable (STORE_UNAVAILABLE) where files lack and the store is away.
        """
        with contextlib.ExitStack() as stack:
            try:
                name = self._held(version or mirror_versions.current(self._place), stack)
            except SprError as error:
                if version or not (here := self._here()):
                    raise
                _log.warning("%s; version %s, which is here, is opened", str(error).rstrip("."), here)
                name = self._held(here, stack)
            yield name

    def _held(self, version: str, stack: contextlib.ExitStack) -> str:
        name = self.named(version)
        with contextlib.ExitStack() as held:
            held.enter_context(version_lock.held(self.home, name))
            self._complete(name)
            stack.push(held.pop_all())
        return name

    def named(self, version: str) -> str:
        """See `Source`. Files of versions that are not here are copied first."""
        return mirror_versions.named(self._place, self.home, version)

    def repair(self, version: str) -> bool:
        """See `Source`."""
        return self._complete(version, hashed=True)

    def activate(self, version: str) -> None:
        """See `Source`."""
        with mirror_room.alone(self.home, "current"):
            self._place.write(versions.CURRENT, f"{version}\n".encode())
            versions.activate(self.home, version)

    def follow(self) -> None:
        """Bring CURRENT here, after all that is read of its version. Raises what is wrong with the store."""
        name = mirror_versions.current(self._place)
        if name == versions.newest(self.home):
            return
        with self.fetched(name):
            for small in ("collection.json", names.FILE):
                with contextlib.suppress(FileNotFoundError):
                    mirror_versions.write(self.home / small, self._place.read(small))
            with mirror_room.alone(self.home, "current"):
                # Another process may have activated one meanwhile.
                if mirror_versions.current(self._place) == name:
                    versions.activate(self.home, name)

    def watch(self) -> None:
        """See `Source`. CURRENT is there when this returns, of before where the store is away."""
        fault = self._look(None)
        threading.Thread(target=self._run, args=(fault,), name="mirror", daemon=True).start()
        if fault is not None and not versions.newest(self.home):
            raise fault

    def _run(self, fault: SprError | OSError | None) -> None:
        while not self._closed.wait(POLL):
            fault = self._look(fault)

    def close(self) -> None:
        """See `Source`. A look that has begun ends by itself."""
        self._closed.set()

    def _look(self, before: SprError | OSError | None) -> SprError | OSError | None:
        """Follow once; return what is wrong, which is logged when it is new."""
        try:
            self.follow()
        except (SprError, OSError) as error:
            if str(error) != str(before):
                _log.warning("%s; what is here is served on", str(error).rstrip("."))
            return error
        except Exception:
            _log.exception("following a store failed; it goes on")
            return before
        if before is not None:
            _log.info("%s is followed again", self._place.name)
        return None

    def _complete(self, version: str, hashed: bool = False) -> bool:
        """See `_completed`; a fault of this machine's disk is a sentence."""
        try:
            return self._completed(version, hashed)
        except OSError as error:
            raise refusal(error, None if error.filename else self.home) from None

    def _here(self) -> str:
        """Return CURRENT's version here, else the newest of which all is here; "" without any."""
        numbers = [str(number) for number in reversed(versions.numbers(self.home))]
        for version in [versions.newest(self.home), *numbers]:
            with contextlib.suppress(SprError):
                about = versions.read(self.home, version)
                if self._is_here(about):
                    return about.id
        return ""

    def _completed(self, version: str, hashed: bool = False) -> bool:
        """Copy what lacks of a version, hashed: or has other bytes than part.json says; whether any did."""
        about, lacking, found = versions.read(self.home, version), dict[str, FileEntry](), list[bool]()
        if hashed or not self._is_here(about):
            with mirror_room.alone(self.home):
                staging.sweep(self.home)
                for entry in about.parts:
                    self._part_json(entry.id)
                lacking = dict(self._lacking(about, hashed))
                needed = sum(entry.bytes for entry in lacking.values())
                mirror_room.make(self.home, about, needed, self._most, self._place.name)
                with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="mirror") as pool:
                    list(pool.map(self._file, lacking, lacking.values()))
                # What is beside has no hashes here: where no part is damaged, it is taken to be.
                doubted = hashed and not lacking
                found = [self._beside(name, doubted) for name in self._wants.beside(about)]
        for entry in about.parts:
            # How long ago a part was needed decides which one goes first; a read-only disk loses none.
            with contextlib.suppress(OSError):
                os.utime(parts.directory(self.home, entry.id) / parts.PART)
        return bool(lacking) or any(found)

    def _is_here(self, about: Version) -> bool:
        there = all((parts.directory(self.home, entry.id) / parts.PART).is_file() for entry in about.parts)
        beside = there and all((self.home / _inside(name)).exists() for name in self._wants.beside(about))
        return beside and next(self._lacking(about), None) is None

    def _lacking(self, about: Version, hashed: bool = False) -> Iterator[tuple[str, FileEntry]]:
        """Yield name and entry of the files that are not here, whose part.json is."""
        for shard in about.shards:
            wanted = self._wants.shards is None or shard.name in self._wants.shards
            begins = (CATALOGUE, *self._wants.everywhere, *(self._wants.files if wanted else ()))
            for part in shard.parts:
                found, _ = parts.read(self.home, part.id)
                folder = parts.directory(self.home, part.id)
                for name, entry in found.files.items():
                    if name.startswith(begins) and not _is_sound(folder / name, entry, hashed):
                        yield f"{parts.PARTS}/{part.id}/{name}", entry

    def _part_json(self, part: str) -> None:
        name = f"{parts.PARTS}/{part}/{parts.PART}"
        with contextlib.suppress(SprError):
            parts.read(self.home, part)
            return
        try:
            mirror_versions.write(self.home / name, self._place.read(name))
            parts.read(self.home, part)
        except FileNotFoundError:
            raise self._lost(name) from None
        except SprError as error:
            if isinstance(error, Unavailable):
                raise
            (self.home / name).unlink(missing_ok=True)
            raise refuse(f"{self._place.name}/{name} is not that of part {part}: {REMEDY}.") from None

    def _file(self, name: str, entry: FileEntry) -> None:
        with replacing(self.home / name) as partial:
            try:
                self._place.fetch(name, partial)
            except FileNotFoundError:
                raise self._lost(name) from None
            if not _is_sound(partial, entry, hashed=True):
                raise refuse(f"{self._place.name}/{name} is not what part.json says: {REMEDY}.")

    def _beside(self, name: str, doubted: bool) -> bool:
        """Copy a folder, whole or not at all, or a file; doubted: once also what is here. Whether it came."""
        target = self.home / _inside(name)
        if target.exists() and (not doubted or name in self._doubted):
            return False
        self._doubted.update({name} if doubted else ())
        # Under its own name it is whole. A file lists itself.
        partial, old = (target.with_name(f".{target.name}.{kind}") for kind in ("partial", "old"))
        mirror_room.remove(partial, old)
        there = {file: size for file, size in self._place.sizes(name).items() if "/train/" not in file}
        if not there:
            raise self._lost(name)
        for file, size in there.items():
            copy = partial / _inside(file).relative_to(name)
            try:
                self._place.fetch(file, copy)
            except FileNotFoundError:
                raise self._lost(file) from None
            if copy.stat().st_size != size:
                raise Unavailable(f"{self._place.name}/{file} came in part: try again.", "STORE_UNAVAILABLE")
        if target.exists():
            target.rename(old)
        partial.rename(target)
        mirror_room.remove(old)
        return True

    def _lost(self, name: str) -> NotFound:
        return NotFound(f"{self._place.name} lacks {name}: {REMEDY}.", "GENERATION_NOT_FOUND")


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise refuse(f"{name} lies outside of its collection: {REMEDY}.")
    return path


def _is_sound(path: Path, entry: FileEntry, hashed: bool) -> bool:
    try:
        return path.stat().st_size == entry.bytes and (not hashed or sha256(path) == entry.sha256)
    except OSError:
        return False
