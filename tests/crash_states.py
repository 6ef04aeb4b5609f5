"""The states that a disk may be in after a power cut, from what was done and what of it was synced."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

Entries = dict[str, int]
Change = tuple[tuple[str, ...], Entries]


# What was read of files, by what changes when they do.
_seen: dict[tuple[int, ...], bytes] = {}
_CLOCK_NS = 50_000_000  # two changes within a tick of the file system's clock look alike


def _content(path: str) -> bytes:
    """Return a file's bytes, read once as long as it does not change."""
    status = os.stat(path)
    key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    settled = time.time_ns() - status.st_ctime_ns > _CLOCK_NS
    if settled and key in _seen:
        return _seen[key]
    content = Path(path).read_bytes()
    if settled:
        _seen[key] = content
    return content


@dataclass
class Tree:
    """Directories and files by inode: entries by name, and contents."""

    folders: dict[int, Entries] = field(default_factory=dict)
    files: dict[int, bytes] = field(default_factory=dict)

    @staticmethod
    def of(root: Path) -> "Tree":
        """Return what lies below a directory now."""
        tree, waiting = Tree(), [str(root)]
        while waiting:
            path = waiting.pop()
            entries: Entries = {}
            with os.scandir(path) as listed:
                for one in listed:
                    entries[one.name] = one.inode()
                    if one.is_dir(follow_symlinks=False):
                        waiting.append(one.path)
                    elif one.inode() not in tree.files:
                        tree.files[one.inode()] = _content(one.path)
            tree.folders[os.stat(path).st_ino] = entries
        return tree


@dataclass
class Moment:
    """What there is before one operation, and what of it is on disk for sure."""

    before: str
    now: Tree
    durable: Tree
    acknowledged: tuple[str, ...]


def outcomes(moment: Moment) -> Iterator[tuple[str, Tree]]:
    """Yield what may be found: all there, unsynced contents lost, torn or zero, and names changed apart."""
    now, durable = moment.now, moment.durable
    yield "nothing lost", now
    unsynced = {inode for inode, content in now.files.items() if durable.files.get(inode) != content}
    kept = durable.files | now.files
    lost = dict.fromkeys(kept, b"") | durable.files
    torn = kept | {inode: _torn(durable.files.get(inode, b""), now.files[inode]) for inode in unsynced}
    zero = kept | {inode: _zero(durable.files.get(inode, b""), now.files[inode]) for inode in unsynced}
    contents = {"contents lost": lost, "contents torn": torn, "contents zero": zero}
    for kind, files in contents.items():
        yield f"all names, {kind}", Tree(now.folders, files)
    changes = {
        inode: _changes(durable.folders.get(inode, {}), entries) for inode, entries in now.folders.items()
    }
    none = _named(now, durable, changes, {})
    yield "names lost", Tree(none, lost)
    yield "names lost, contents kept", Tree(none, kept)
    for inode, listed in changes.items():
        for change in listed if len(listed) + len(changes) > 1 else ():
            yield (
                f"only {change[0]} {list(change[1])}",
                Tree(_named(now, durable, changes, {inode: [change]}), lost),
            )


def _torn(synced: bytes, written: bytes) -> bytes:
    """Return half of what was written since; what was synced and not written over stays."""
    if len(written) == len(synced):
        return written[: len(written) // 2] + synced[len(written) // 2 :]
    begin = len(synced) if written.startswith(synced) else 0
    return written[: (begin + len(written)) // 2]


def _zero(synced: bytes, written: bytes) -> bytes:
    """Return zeros for what was written since: the size is on disk, the blocks are not."""
    begin = min(len(synced), len(written))
    return written[:begin] + bytes(len(written) - begin)


def _changes(before: Entries, after: Entries) -> list[Change]:
    """Return the changes of a directory: each removes names and sets others."""
    gone = {inode: name for name, inode in before.items() if name not in after}
    made = {name: inode for name, inode in after.items() if before.get(name) != inode}
    moved = {name: gone.pop(inode) for name, inode in made.items() if inode in gone}
    changes: list[Change] = [
        ((moved[name],) if name in moved else (), {name: inode}) for name, inode in made.items()
    ]
    return changes + [((name,), {}) for name in gone.values()]


def _named(
    now: Tree, durable: Tree, changes: dict[int, list[Change]], chosen: dict[int, list[Change]]
) -> dict[int, Entries]:
    """Return the directories as they are on disk, with the chosen changes."""
    folders: dict[int, Entries] = {}
    for inode in {*now.folders, *durable.folders}:
        entries = dict(durable.folders.get(inode, {}))
        for removed, made in chosen.get(inode, []):
            entries = {name: child for name, child in entries.items() if name not in removed} | made
        folders[inode] = {
            name: child
            for name, child in entries.items()
            if child in now.files
            or child in now.folders
            or child in durable.files
            or child in durable.folders
        }
    return folders
