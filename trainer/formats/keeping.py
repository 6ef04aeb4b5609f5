"""Where an imported model goes: any directory, or a collection whose features it must fit."""

from dataclasses import asdict
from pathlib import Path

from engine.errors import InvalidInput, Mismatch
from engine.files import read_name
from trainer.collection.encoders import encoder_of
from trainer.collection.places import FRAMES, features_directory, make_current, models_directory
from trainer.formats.checkpoints import Checkpoint
from workers.feature_store.store import FeatureStore
from workers.ranker.projection.projector import ProjectorConfig
from workers.ranker.stores.checkpoint import model_fingerprint, save_model


def keep(checkpoint: Checkpoint, directory: Path, encoder: str = "") -> str:
    """Write the model into a new or empty `directory` and return its fingerprint.

    encoder: fingerprint of the encoder whose features it reads, "" if unknown.
    """
    if directory.exists() and any(directory.iterdir()):
        raise InvalidInput(f"{directory} is not empty; remove it, or name another directory.")
    kind, facts = checkpoint.kind, checkpoint.facts
    return save_model(directory, kind, checkpoint.config, checkpoint.state, encoder=encoder, facts=facts)


def keep_in_collection(
    checkpoint: Checkpoint, collection: Path, encoder: str | None = None
) -> tuple[Path, Path | None]:
    """Write the model into `collection/models` and make it current.

    Return its directory, and that of another model that was current before; that one stays.

    encoder: fingerprint of the features it reads, where the collection has several. Mismatch when the model
    does not fit the collection's features.
    """
    store = FeatureStore.open(features_directory(collection, encoder))
    name = encoder_of(store)
    _check(checkpoint, store)
    fingerprint = model_fingerprint(checkpoint.kind, asdict(checkpoint.config), name, checkpoint.state)
    models = models_directory(collection, checkpoint.kind)
    directory, current = models / fingerprint, models / "CURRENT"
    before = models / read_name(current) if current.is_file() else directory
    if not directory.exists():
        keep(checkpoint, directory, name)
    make_current(collection, checkpoint.kind, fingerprint)
    return directory, before if before != directory else None


def _check(checkpoint: Checkpoint, store: FeatureStore) -> None:
    """Refuse a model that reads streams which are not there, of another width, or of another step."""
    config = checkpoint.config
    if isinstance(config, ProjectorConfig):
        wanted: dict[str, tuple[int, float | None]] = {FRAMES: (config.dim, None)}
    else:
        model, window = config.model, config.model.window
        wanted = {
            window.video_stream: (model.visual_dim, window.clip_length),
            window.subtitle_stream: (model.subtitle_dim, window.clip_length),
        }
    for stream, (width, step) in wanted.items():
        if stream not in store.streams:
            raise Mismatch(
                f"The model reads stream {stream!r}; {store.path} has {', '.join(sorted(store.streams))}: "
                "name others with --video-stream and --subtitle-stream, or import into another collection."
            )
        there = store.streams[stream]
        if there.dim != width or step not in (None, there.step):
            raise Mismatch(
                f"The model reads {width} numbers a row{f' every {step:g} s' if step else ''}, and stream "
                f"{stream!r} of {store.path} has {there.dim} every {there.step:g} s; "
                "import into another collection."
            )
