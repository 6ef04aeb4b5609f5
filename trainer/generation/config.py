"""What a build may be told."""

from dataclasses import dataclass
from pathlib import Path

from trainer.generation.contexts import ContextsChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildConfig:
    """What to build. shards, index, contexts, nprobe, recall, videos: as the served version if None.

    videos: a corpus file {video: duration}. all_videos: all there are, also where the version before had a
    corpus file. name: the collection's, if it is to have another.
    projector, ranker: a directory, a fingerprint, "none", or None for the collection's current one.
    contexts: how the ranker's contexts are stored; see `choose_contexts`. text_encoder: of the sentences that
    are said and written, "none" for words alone, None as the version before; see `choose_sentences`.
    keep: versions to leave, all if None. nprobe: lists a search visits at least, by default. recall: share
    of the 200 nearest segments that the index must find, None for what its type asks.
    allow_fewer: videos that are served may be gone from the new version.
    """

    collection: Path
    shards: int | None = None
    index: str | None = None
    videos: Path | None = None
    all_videos: bool = False
    name: str | None = None
    encoder: str | None = None
    projector: str | None = None
    ranker: str | None = None
    contexts: ContextsChoice | None = None
    text_encoder: str | None = None
    nprobe: int | None = None
    recall: float | None = None
    device: str = "auto"
    activate: bool = True
    allow_fewer: bool = False
    keep: int | None = None
