"""Restoring: a snapshot's version comes back as the next version of a collection, whole or not at all."""

import contextlib
import dataclasses
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from engine import names, parts, staging, versions
from engine.entries import Version, refuse
from engine.errors import NotFound, SprError
from engine.files import make_folder, replacing, sync
from engine.places import Place, open_place
from engine.verification import verify
from trainer.generation.frozen import frozen_files
from trainer.generation.records import records_of, restore_features
from trainer.ingest import kept, transcripts
from trainer.library import judgements
from trainer.library.contents import CHOSEN, inside, may_lack

OnProgress = Callable[[str, int, int], None]


def restore(
    collection: Path, source: str, version: str = "", on_progress: OnProgress | None = None
) -> tuple[Version, int]:
    """Bring a version back from a directory or URL, the source's current one for ""; return it and its bytes.

    Parts that are there and whole are not copied. The version is committed under the next number, with reason
    "restore", or is the one of that content where the collection has it; it becomes current. The caller holds
    the writer's lock. NotFound or Mismatch say what the snapshot lacks; an interrupted restore changes
    nothing and goes on when it is called again.
    """
    place = open_place(source)
    make_folder(collection)
    staging.sweep(collection)
    found = _version(place, version)
    tell, copied, done = on_progress or (lambda *_: None), 0, 0
    for entry in found.parts:
        copied += 0 if staging.is_whole(collection, entry.id) else _part(place, collection, entry.id)
        done += 1
        tell("restore", done, len(found.parts))
    copied += _rest(place, collection, found)
    with contextlib.suppress(FileNotFoundError):
        # Beside those that are there: a restore loses no judgement.
        judgements.merged(collection, place.read(judgements.FILE))
    found = dataclasses.replace(found, collection=_name(collection, found))
    restored = _there(collection, found)
    if restored is None:
        made = dataclasses.replace(found, parent=versions.newest(collection), reason="restore")
        restored = versions.commit(collection, made)
    restore_features(collection, restored)
    versions.activate(collection, restored.id)
    return restored, copied


def _version(place: Place, version: str) -> Version:
    """Read a version at another place."""
    with tempfile.TemporaryDirectory(prefix="spr-") as folder:
        local = Path(folder)
        names = [versions.CURRENT, *place.sizes(versions.VERSIONS)]
        for name in names:
            path = local / name
            make_folder(path.parent)
            try:
                path.write_bytes(place.read(name))
            except FileNotFoundError:
                message = f"{place.name} holds no snapshot: name what `spr snapshot` wrote."
                raise NotFound(message, "GENERATION_NOT_FOUND") from None
        try:
            return versions.read(local, version)
        except NotFound as error:
            raise NotFound(str(error).replace(str(local), place.name), error.reason) from None


def _name(collection: Path, found: Version) -> str:
    """Return the collection's name, as it is by now: what comes from elsewhere does not bring its own."""
    with contextlib.suppress(SprError):
        return versions.read(collection).collection
    return found.collection


def _part(place: Place, collection: Path, part: str) -> int:
    """Copy a part and verify every byte of it; return how many."""
    folder = f"{parts.PARTS}/{part}"
    there = place.sizes(folder)
    if f"{folder}/{parts.PART}" not in there:
        raise refuse(f"{place.name} lacks part {part}: take another snapshot.")
    with staging.staged(collection) as made:
        home = made.path
        for name in there:
            place.fetch(name, home / name.removeprefix(f"{folder}/"))
        try:
            about, _ = parts.read_at(home, part)
            verify(home, about)
        except SprError as error:
            # What was copied is as it is there.
            raise refuse(str(error).replace(str(home), f"{place.name}/{folder}")) from None
        made.id = part
    return sum(there.values())


def _rest(place: Place, collection: Path, version: Version) -> int:
    """Copy quantizer, models and small files that are not there; return their bytes."""
    copied = 0
    frozen = frozen_files(collection, version)
    wanted = [str(path.relative_to(collection)) for path in frozen]
    optional = {
        names.FILE,
        *(name for name, path in zip(wanted, frozen, strict=True) if may_lack(path, version)),
    }
    folders = [versions.model_path(Path(), entry) for _, entry in versions.models_of(version)]
    models = [str(folder.relative_to(Path().resolve())) for folder in folders]
    copied += sum(_folder(place, collection, folder) for folder in models)
    copied += _chosen(place, collection, models)
    small = [name for name in place.sizes("annotations") if name.endswith(".json")]
    for name in (*wanted, "collection.json", names.FILE, *small):
        if not (collection / name).exists():
            try:
                content = place.read(name)
            except FileNotFoundError:
                if name in optional:
                    continue
                raise NotFound(f"{place.name} lacks {name}: take another snapshot.") from None
            _write(collection / name, content)
            copied += len(content)
    return copied + sum(_missing(place, collection, *one) for one in _of_videos(collection, version).items())


def _chosen(place: Place, collection: Path, models: list[str]) -> int:
    """Let the next build take what it took there, or where that was not kept the version's; return the bytes.

    models: the version's, relative to the collection.
    """
    copied = 0
    for name in place.sizes("models"):
        kind, _, last = name.rpartition("/")
        if last != CHOSEN or (collection / name).exists():
            continue
        model = place.read(name).decode(errors="replace").strip()
        folder = f"{kind}/{model}"
        if inside(model) and folder not in models and place.sizes(folder):
            copied += _folder(place, collection, folder)
        elif folder not in models:
            model = next((one.name for one in map(Path, models) if str(one.parent) == kind), "")
        if model:
            _write(collection / name, f"{model}\n".encode())
    return copied


def _of_videos(collection: Path, version: Version) -> dict[str, set[str] | None]:
    """Return directories, and which files of each are the version's videos'; None where nobody knows.

    What a place has of others is not theirs: a purge may have come since it was copied.
    """
    texts = (transcripts.DIRECTORY, transcripts.SCREENS)
    found = records_of(collection, version.parts)
    if found is None:
        return dict.fromkeys((*(directory for directory, _, _ in kept.KINDS), *texts))
    names: dict[str, set[str] | None] = {
        directory: {f"{record['info'].get(key)}{suffix}" for record in found}
        for directory, key, suffix in kept.KINDS
    }
    return names | {directory: {f"{record['sha256']}.vtt" for record in found} for directory in texts}


def _missing(place: Place, collection: Path, directory: str, wanted: set[str] | None) -> int:
    """Copy the files of a directory that are not there, only those wanted; return their bytes."""
    copied = 0
    for name, size in place.sizes(directory).items():
        known = wanted is None or name.rpartition("/")[2] in wanted
        if known and not (collection / name).exists():
            make_folder(collection / directory)
            with replacing(collection / name) as partial:
                place.fetch(name, partial)
            copied += size
    return copied


def _folder(place: Place, collection: Path, name: str) -> int:
    """Copy a model's folder, whole or not at all, unless it is there."""
    target = collection / name
    there = place.sizes(name)
    if target.is_dir():
        return 0
    if not there:
        raise NotFound(f"{place.name} lacks {name}: take another snapshot.")
    make_folder(target.parent)
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for file in there:
        place.fetch(file, partial / file.removeprefix(f"{name}/"))
    sync(partial)
    partial.rename(target)
    sync(target.parent)
    return sum(there.values())


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as partial:
        partial.write_bytes(content)


def _there(collection: Path, version: Version) -> Version | None:
    """Return the newest version here of the same content, as an interrupted restore leaves one."""
    for number in reversed(versions.numbers(collection)):
        with contextlib.suppress(SprError):
            about = versions.read(collection, str(number))
            if _content(about) == _content(version):
                return about
    return None


def _content(version: Version) -> Version:
    return dataclasses.replace(version, id="", number=0, created="", parent="", reason="")
