"""A ranked list with the names of its videos, so that its pages outlive the version they are from."""

from dataclasses import dataclass

from engine.answers import Answer
from engine.corpus import Corpus


@dataclass(frozen=True, slots=True)
class Listed:
    """An answer, and what its pages tell of the collection and the version that gave it.

    ids, uris: of each moment's video.
    """

    answer: Answer
    collection: str
    version: str
    embedding_model: str
    ids: list[str]
    uris: list[str]

    @staticmethod
    def of(answer: Answer, corpus: Corpus) -> "Listed":
        """Name the videos of an answer from `corpus`."""
        catalogue, videos = corpus.catalogue, answer.moments.videos.tolist()
        ids, uris = [catalogue.ids[video] for video in videos], [catalogue.uris[video] for video in videos]
        return Listed(answer, corpus.name, corpus.id, corpus.version.embedding_model, ids, uris)
