"""Which encoders made a collection's features, and where they are."""

from pathlib import Path

from engine.errors import InvalidInput, NotFound
from trainer.collection.places import kept_encoder
from workers.feature_store.store import FeatureStore
from workers.ranker.encoder.files import fingerprint_of


def encoder_of(store: FeatureStore) -> str:
    """Return the fingerprint of the encoder of a feature store's frames."""
    return str(store.meta.get("fingerprint", store.path.name))


def clip_encoder_of(store: FeatureStore) -> str:
    """Return the fingerprint of the clip encoder beside it, "" without one."""
    return str(store.meta.get("clip_fingerprint", ""))


def encoder_source(store: FeatureStore) -> str:
    """Return where the encoder of a feature store is: the collection's copy, else its directory or name."""
    kept = kept_encoder(store.path.parent.parent, encoder_of(store))
    source = kept or store.meta.get("source") or store.meta.get("encoder")
    if not source:
        raise InvalidInput(f"{store.path} does not say which encoder made it; ingest again.")
    return str(source)


def clip_encoder_source(store: FeatureStore) -> str:
    """Return where the clip encoder of a feature store is, "" for one without."""
    fingerprint = clip_encoder_of(store)
    kept = kept_encoder(store.path.parent.parent, fingerprint) if fingerprint else None
    return str(kept or store.meta.get("clip_source", ""))


def own_encoder(collection: Path) -> str:
    """Return where the encoder is that a collection's videos were ingested with, as `encoder_source` does.

    NotFound for a collection without videos, InvalidInput for one with features of several encoders.
    """
    sources = sorted({encoder_source(store) for store in _filled(collection)})
    if not sources:
        raise NotFound(f"{collection} has no videos yet: say with --encoder what turns them into features.")
    if len(sources) > 1:
        raise InvalidInput(
            f"{collection} has features of several encoders: add --encoder {' or '.join(sources)}."
        )
    return sources[0]


def own_clip_encoder(collection: Path, encoder: Path) -> str:
    """Return where the clip encoder is whose features stand beside those of `encoder`, a directory.

    "" where there is none, InvalidInput where it may be none, or one of several.
    """
    stores = _filled(collection)
    if not any(map(clip_encoder_of, stores)):
        return ""
    fingerprint = fingerprint_of(encoder)
    sources = {clip_encoder_source(store) for store in stores if encoder_of(store) == fingerprint}
    if len(sources) > 1:
        choices = " or ".join(sorted(source or "none" for source in sources))
        raise InvalidInput(
            f"{collection} has features with and without a clip encoder, or with several: add "
            f"--clip-encoder {choices}."
        )
    return next(iter(sources), "")


def _filled(collection: Path) -> list[FeatureStore]:
    stores = [FeatureStore.open(path.parent) for path in (collection / "features").glob("*/store.json")]
    return [store for store in stores if len(store)]
