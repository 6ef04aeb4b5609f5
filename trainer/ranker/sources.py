"""Which judged queries a ranker is trained and chosen on: annotations, what people judged, or both."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.errors import InvalidInput
from engine.files import read_name
from trainer.collection.annotations import JudgedQuery, load_corpus, load_queries
from trainer.collection.places import annotation_file, models_directory
from trainer.formats import feedback
from trainer.ranker.settings import RankerSettings
from workers.ranker.model.local import make_model
from workers.ranker.model.relo import Relo, ReloConfig
from workers.ranker.scoring.relo_ranker import KIND, RankerConfig
from workers.ranker.stores.checkpoint import load_config, load_state, read_card

FILES = ("train", "val", "corpus_val")


@dataclass(frozen=True, slots=True)
class Sources:
    """Judged queries. corpus: `{video: seconds}` that val is searched in. digest: of all of it."""

    train: list[JudgedQuery]
    val: list[JudgedQuery]
    corpus: dict[str, float]
    digest: bytes


def read_sources(collection: Path, settings: RankerSettings) -> Sources:
    """Read the annotations, and the judgements of people where the settings ask for them.

    With judgements annotations may be missing; where they are there, each judged query of train is taken
    `feedback_weight` times. InvalidInput where too few queries were judged to train and to choose.
    """
    there = [collection / "annotations" / f"{name}.json" for name in FILES]
    if not settings.feedback or all(path.is_file() for path in there):
        paths = [annotation_file(collection, name) for name in FILES]
        train, val = (load_queries(path) for path in paths[:2])
        corpus, digest = load_corpus(paths[2]), b"".join(path.read_bytes() for path in paths)
    else:
        train, val, corpus, digest = [], [], {}, b""
    if not settings.feedback:
        return Sources(train, val, corpus, digest)
    judged, durations = feedback.of_collection(collection)
    # A query that is taken several times is several queries.
    more = feedback.training(judged, "train") * (settings.feedback_weight if train else 1)
    more = [replace(query, query_id=number) for number, query in enumerate(more, _after(train))]
    chosen = feedback.training(judged, "val", _after(val))
    _check(collection, train + more, val + chosen, len(judged))
    digest += hashlib.sha256(repr((judged, sorted(durations.items()))).encode()).digest()
    return Sources(train + more, val + chosen, corpus | durations, digest)


def current_model(collection: Path, encoder: str, config: ReloConfig) -> Relo | None:
    """Return the current ranker's model, where it is of this shape and reads features of this encoder."""
    home = models_directory(collection, KIND)
    if not (home / "CURRENT").is_file():
        return None
    directory = home / read_name(home / "CURRENT")
    found = load_config(directory, KIND, RankerConfig)
    if found.model != config or read_card(directory).encoder != encoder:
        return None
    model = make_model(config)
    model.load_state_dict(load_state(directory))
    return model


def _check(collection: Path, train: Sequence[JudgedQuery], val: Sequence[JudgedQuery], judged: int) -> None:
    """Refuse (InvalidInput) judgements that leave nothing to train on, or nothing to choose by."""
    answerable = [query for query in val if any(moment.relevance for moment in query.moments)]
    if not train or not answerable:
        what = "train on" if not train else "choose a model by"
        message = f"{collection} has {judged} judged queries, and of the relevant ones none to {what}"
        raise InvalidInput(f"{message}: judge some ten queries more.", "NO_FEEDBACK")


def _after(queries: Sequence[JudgedQuery]) -> int:
    return max((query.query_id for query in queries), default=-1) + 1
