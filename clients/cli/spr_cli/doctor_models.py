"""Models of a collection: whether they load. Imports torch."""

from pathlib import Path

from engine.errors import SprError
from spr_cli.findings import Finding
from workers.ranker.models import Models


def of_collection(collection: Path, device: str) -> Finding:
    """Load the models of a collection's current version, and encode a sentence."""
    try:
        models = Models.open(collection, device=device)
        models.encode([models.queries.example])
    except SprError as error:
        return Finding("error", "models", str(error))
    about = f"embedding model {models.queries.embedding_model}, ranker {models.ranker.name}"
    if models.sentences is not None:
        about += f", sentences by {models.sentences.source} ({models.sentences.fingerprint})"
    return Finding("ok", "models", f"those of {collection} load and encode a sentence: {about}")
