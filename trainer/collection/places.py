"""Where a collection keeps what training reads and makes."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from engine.errors import InvalidInput, Mismatch, NotFound, SprError, argument
from engine.files import read_json, replacing, write_json
from engine.folders import new_folder
from engine.printable import in_one_form, printable
from workers.feature_store.store import FeatureStore
from workers.ranker.encoder.files import fingerprint_of, model_files

ABOUT = "collection.json"
FORMAT = 1
LONGEST = 80  # characters of a collection's name
SOURCE = "source.json"
FRAMES = "frames"
# Annotations that only an evaluation may open.
TEST_FILES = ("test", "corpus_test")


def describe_collection(collection: Path, name: str | None = None) -> str:
    """Return the collection's name, as its collection.json says; made where it is missing.

    name: gives it another. Its first name is the directory's. Mismatch for a file of another format.
    """
    path = collection / ABOUT
    if name is not None and not (name.strip() == name and name.isprintable() and 0 < len(name) <= LONGEST):
        raise InvalidInput(f"--name {name!r} is no name: give 1 to {LONGEST} printable characters.")
    try:
        about = read_json(path, dict)
    except FileNotFoundError:
        about = {"name": name or _name_of(collection) or "default", "format": FORMAT}
        write_json(path, about)
    if about.get("format") != FORMAT:
        raise Mismatch(
            f"{path} has format {about.get('format')!r}, this program reads {FORMAT}; use the program that "
            "made the collection, or make a new one with `spr ingest`."
        )
    if not isinstance(about.get("name"), str) or not about["name"]:
        raise Mismatch(f'{path} gives the collection no name; write {{"name": "...", "format": {FORMAT}}}.')
    if name is not None and name != about["name"]:
        about["name"] = name
        write_json(path, about)
    return str(about["name"])


def _name_of(collection: Path) -> str:
    """Return a name that can be typed, after a directory's; InvalidInput for one that is not Unicode."""
    path = collection.resolve()
    try:
        str(path).encode()
    except UnicodeEncodeError:
        # FAISS, for one, could not open a file there.
        raise InvalidInput(f"{printable(str(path))} is not UTF-8; name another directory.") from None
    return in_one_form(printable(path.name))[:LONGEST].strip()


def features_directory(collection: Path, encoder: str | None = None) -> Path:
    """Return `features/<fingerprint>` of the named encoder, or of the only one that has videos.

    encoder: the features' name, see `entries.features_of`, or its beginning. NotFound or InvalidInput say
    what there is.
    """
    made = {path.parent.name: path.parent for path in sorted((collection / "features").glob("*/store.json"))}
    if not made:
        for lost in sorted((collection / "features").glob("*/journal.jsonl")):
            message = f"{lost.parent / 'store.json'} is missing, and features of other files are there: "
            raise Mismatch(message + "restore it from a backup, or remove its directory and ingest again.")
        raise NotFound(
            f"{collection} holds no features; make some with: "
            f"spr ingest VIDEOS --collection {argument(collection)}"
        )
    if encoder in made:
        return made[encoder]
    matching = {name: path for name, path in made.items() if name.startswith(encoder or "")}
    if not matching:
        there = ", ".join(map(_described, made.values()))
        raise NotFound(f"{collection} has no features of encoder {encoder}; there are {there}.")
    # An ingest that found nothing leaves an empty store, which is no candidate.
    held = {name: path for name, path in matching.items() if _videos_in(path) != 0} or matching
    if len(held) > 1:
        choices = " or ".join(map(_described, held.values()))
        raise InvalidInput(f"{collection} has features of several encoders; add --encoder {choices}.")
    return next(iter(held.values()))


def _videos_in(store: Path) -> int | None:
    """Return how many videos a store holds, None where it cannot be opened."""
    try:
        return len(FeatureStore.open(store))
    except SprError:
        return None


def _described(path: Path) -> str:
    try:
        store = FeatureStore.open(path)
    except SprError:
        return f"{path.name} (it cannot be opened)"
    videos = f"{len(store)} video{'s' if len(store) != 1 else ''}"
    return f"{path.name} ({store.meta.get('encoder', 'unknown')}, {videos})"


def kept_encoder(collection: Path, fingerprint: str) -> Path | None:
    """Return the directory of the collection's own copy of an encoder, if it has one."""
    path = models_directory(collection, "encoder") / fingerprint
    return path if path.is_dir() else None


def keep_encoder(collection: Path, folder: Path, fingerprint: str, source: str) -> None:
    """Copy an encoder into the collection, so that it can be moved, once; nothing if it is another by now.

    source: where it came from, for source.json.
    """
    home = models_directory(collection, "encoder") / fingerprint
    if not home.exists() and fingerprint_of(folder) == fingerprint:
        keep_files(home, folder, model_files(folder), source)


def keep_files(home: Path, folder: Path, paths: Sequence[Path], source: str) -> None:
    """Copy a model's files from below `folder` to `home`, whole or not at all.

    A copy, since a file that is written over in place would change under all its hard links.
    """
    try:
        with new_folder(home) as partial:
            for path in paths:
                copy = partial / path.relative_to(folder)
                copy.parent.mkdir(exist_ok=True)
                shutil.copyfile(path, copy)
            write_json(partial / SOURCE, {"source": source, "revision": _revision(folder)})
    except OSError:
        # Another process kept it at the same time.
        if not home.is_dir():
            raise


def _revision(folder: Path) -> str:
    """Return the commit of a hub's snapshot, "" for any other directory."""
    return folder.name if folder.parent.name == "snapshots" else ""


def annotation_file(collection: Path, name: str) -> Path:
    """Return `annotations/<name>.json` for training and fitting; NotFound with the command that makes it.

    InvalidInput for the test split's files: what is chosen by them says nothing about other queries.
    """
    if name in TEST_FILES:
        raise InvalidInput(f"Training asked for {name}.json; val decides, test is for the last report only.")
    path = collection / "annotations" / f"{name}.json"
    if not path.is_file():
        raise NotFound(
            f"{path} is missing; bring annotations in with: "
            f"spr corpus annotate DIR --collection {argument(collection)}"
        )
    return path


def known_videos(store: FeatureStore, videos: Sequence[str]) -> list[str]:
    """Return those of `videos` whose features are there, each once, sorted."""
    return sorted({video for video in videos if video in store})


def models_directory(collection: Path, kind: str) -> Path:
    """Return `models/<kind>`, where models of a kind and their CURRENT live."""
    return collection / "models" / kind


def make_current(collection: Path, kind: str, fingerprint: str) -> None:
    """Make a trained model the one that the next build takes."""
    with replacing(models_directory(collection, kind) / "CURRENT") as partial:
        partial.write_text(fingerprint + "\n", encoding="utf-8")
