"""The projectors that a collection keeps."""

from pathlib import Path

from engine.errors import Mismatch
from engine.files import read_name
from trainer.collection.places import models_directory
from workers.ranker.projection.projector import KIND as PROJECTOR
from workers.ranker.projection.projector import MeanPool, Projector, load_projector
from workers.ranker.stores.checkpoint import read_card


def open_projector(collection: Path, choice: str | None, encoder: str) -> Projector | MeanPool:
    """Return the chosen projector, made for `encoder`: a fingerprint, "none", or None for the current one."""
    if choice == "none":
        return MeanPool()
    directory = projector_directory(collection, choice)
    if choice is None and not directory.is_dir():
        return MeanPool()
    card = read_card(directory)
    if card.encoder != encoder:
        raise Mismatch(
            f"{directory} is made for encoder {card.encoder}, the features come from {encoder}; "
            "train a projector on them, or give --projector none."
        )
    return load_projector(directory)


def projector_directory(collection: Path, choice: str | None) -> Path:
    """Return the directory of the projector of that fingerprint, or of the current one."""
    current = models_directory(collection, PROJECTOR) / "CURRENT"
    name = choice or (read_name(current) if current.exists() else "CURRENT")
    return models_directory(collection, PROJECTOR) / name
