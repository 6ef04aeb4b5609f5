"""Where a collection keeps what training reads and makes."""

from collections.abc import Sequence
from pathlib import Path

from engine.errors import InvalidInput, NotFound
from engine.files import replacing
from workers.store import FeatureStore

FRAMES = "frames"
# Annotations that only an evaluation may open.
TEST_FILES = ("test", "corpus_test")


def features_directory(collection: Path, encoder: str | None = None) -> Path:
    """Return `features/<fingerprint>` of the named encoder, or of the only one.

    encoder: a fingerprint or its beginning. NotFound or InvalidInput say what there is.
    """
    stores = [path.parent for path in sorted((collection / "features").glob("*/store.json"))]
    # A store without one line is what a stopped ingest left: it counts where there is nothing else.
    made = [store.name for store in stores if _lines(store)] or [store.name for store in stores]
    if not made:
        raise NotFound(
            f"{collection} holds no features; make some with: spr ingest VIDEOS --collection {collection}"
        )
    matching = [name for name in made if name.startswith(encoder or "")]
    if not matching:
        raise NotFound(f"{collection} has no features of encoder {encoder}; there are {', '.join(made)}.")
    if len(matching) > 1:
        known = (_described(collection / "features" / name) for name in matching)
        raise InvalidInput(
            f"{collection} has features of several encoders; add --encoder with one of: {', '.join(known)}."
        )
    return collection / "features" / matching[0]


def _described(path: Path) -> str:
    """Return a store's fingerprint with the encoder's name and how many videos there are."""
    store = FeatureStore.open(path)
    count = "1 video" if len(store) == 1 else f"{len(store)} videos"
    return f"{path.name} ({store.meta.get('encoder', 'no name')}, {count})"


def _lines(store: Path) -> bool:
    """Whether a store's journal holds anything, as it is or in its copy."""
    return any(path.stat().st_size for path in store.glob("journal*.jsonl"))


def encoder_source(store: FeatureStore) -> str:
    """Return the name or directory of the encoder that made a feature store."""
    source = store.meta.get("source") or store.meta.get("encoder")
    if not source:
        raise InvalidInput(f"{store.path} does not say which encoder made it; ingest again.")
    return str(source)


def annotation_file(collection: Path, name: str) -> Path:
    """Return `annotations/<name>.json` for training and fitting; NotFound with the command that makes it.

    InvalidInput for the test split's files: what is chosen by them says nothing about other queries.
    """
    if name in TEST_FILES:
        raise InvalidInput(f"Training asked for {name}.json; val decides, test is for the last report only.")
    path = collection / "annotations" / f"{name}.json"
    if not path.is_file():
        raise NotFound(
            f"{path} is missing; bring annotations in with: spr corpus annotate DIR --collection {collection}"
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
