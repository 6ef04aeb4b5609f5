"""The models that a build takes: which, whether they fit the features, and how a version names them."""

from collections.abc import Callable
from pathlib import Path

import torch

from engine.entries import EncoderEntry, ModelEntry
from engine.errors import InvalidInput, Mismatch, NotFound
from engine.files import read_name
from trainer.collection.encoders import clip_encoder_of, encoder_of
from trainer.collection.places import FRAMES, keep_encoder, kept_encoder, models_directory
from trainer.collection.segments import check_streams
from workers.feature_store.store import FeatureStore
from workers.ranker.projection.projector import ClipPool, MeanPool, Projector, load_projector
from workers.ranker.scoring.relo_ranker import ReloRanker
from workers.ranker.stores.checkpoint import read_card
from workers.ranker.stores.features import CLIPS


def choose_model(
    collection: Path, kind: str, choice: str | None, encoder: str, without: Callable[[str], None]
) -> ModelEntry | None:
    """Return the chosen model, or the current one; Mismatch for one made for another encoder.

    without: told why a build that was not told "none" goes on without a model.
    """
    home = models_directory(collection, kind)
    if choice == "none":
        return None
    if choice is None and not (home / "CURRENT").exists():
        made = sorted(path.parent.name for path in home.glob("[!.]*/config.json") if _is(path.parent, kind))
        if made:
            without(f"{home} holds {', '.join(made)} and no CURRENT that names one")
        else:
            without(f"{home} holds no {kind}")
        return None
    name = choice or read_name(home / "CURRENT")
    directory = home / name if (home / name).is_dir() else Path(name)
    try:
        card = read_card(directory)
    except NotFound as error:
        if choice is not None:
            raise
        raise NotFound(f"{home / 'CURRENT'} names {name!r}, which is no {kind}: {error}") from None
    if card.kind != kind:
        raise InvalidInput(f"{directory} holds a {card.kind}, not a {kind}; name a {kind}'s directory.")
    if card.encoder not in ("", encoder):
        message = (
            f"{kind} {card.fingerprint} was made for encoder {card.encoder}, the features are of {encoder}"
        )
        if choice is not None:
            raise Mismatch(f"{message}: train another, or say --{kind} none.")
        without(message)
        return None
    return ModelEntry(relative(collection, str(directory)), card.fingerprint)


def _is(directory: Path, kind: str) -> bool:
    try:
        return read_card(directory).kind == kind
    except InvalidInput:
        return False


def encoder_entry(collection: Path, store: FeatureStore) -> EncoderEntry:
    """Name the encoder of the features: its copy in the collection, made now where it can be."""
    source = str(store.meta.get("source") or store.meta.get("encoder") or "")
    if not source:
        raise InvalidInput(f"{store.path} does not say which encoder made it; ingest again.")
    return _entry(collection, encoder_of(store), source)


def clip_encoder_entry(collection: Path, store: FeatureStore) -> EncoderEntry | None:
    """Name the clip encoder beside it, None without one."""
    if CLIPS not in store.streams:
        return None
    return _entry(collection, clip_encoder_of(store), str(store.meta.get("clip_source", "")))


def _entry(collection: Path, fingerprint: str, source: str) -> EncoderEntry:
    if kept_encoder(collection, fingerprint) is None and Path(source).is_dir():
        keep_encoder(collection, Path(source), fingerprint, source)
    kept = kept_encoder(collection, fingerprint)
    if kept is None:
        return EncoderEntry(relative(collection, source), fingerprint)
    # The path on this machine is not part of a version's identity.
    named = Path(source).name if Path(source).is_absolute() else source
    return EncoderEntry(named, fingerprint, relative(collection, str(kept)))


def relative(collection: Path, source: str) -> str:
    """Return a directory relative to the collection it lies in, else absolute; a hub name as it is."""
    path = Path(source)
    if not path.is_dir():
        return source
    inside = path.resolve().is_relative_to(collection.resolve())
    return str(path.resolve().relative_to(collection.resolve()) if inside else path.resolve())


def load_stage1(
    collection: Path, entry: ModelEntry | None, store: FeatureStore, device: torch.device
) -> Projector | MeanPool:
    """Return the projector, mean pooling without one; Mismatch for one of other features."""
    if entry is None:
        return ClipPool() if CLIPS in store.streams else MeanPool()
    projector = load_projector(collection / entry.path, device)
    width = store.streams[FRAMES].dim
    if projector.config.dim != width:
        message = f"projector {entry.fingerprint} reads features {projector.config.dim} wide, these are"
        raise Mismatch(f"{message} {width}: train another, or say --projector none.")
    check_streams(store, projector.streams)
    return projector


def load_ranker(collection: Path, entry: ModelEntry | None, store: FeatureStore) -> ReloRanker | None:
    """Refuse a ranker that is damaged or reads other features, now and not when it is served."""
    if entry is None:
        return None
    ranker = ReloRanker.open(collection / entry.path, "cpu")
    config = ranker.model.config
    window = config.window
    wanted = {window.video_stream: config.visual_dim, window.subtitle_stream: config.subtitle_dim}
    found = {name: stream.dim for name, stream in store.streams.items() if name in wanted}
    if found != wanted:
        message = f"ranker {entry.fingerprint} reads streams of widths {wanted}, the features have {found}: "
        raise Mismatch(message + "train another, or say --ranker none.")
    return ranker
