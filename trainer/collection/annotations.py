"""Judged queries on disk: the TVR-Ranking format (arXiv 2407.06597).

A JSON list, one object a query: `{query_id, query, relevant_moment: [{pair_id, video_name, timestamp: [start,
end], duration, caption, similarity, relevance?}]}`. Training files carry no `relevance`: their moments are
pseudo positives, chosen by caption similarity. A moment is relevant iff its relevance is above zero. A query
may carry an extra `slice`: the kind of question it asks, or a list of it and the other slices it belongs to.
A judged query without moments has no answer. Times are seconds.

The flat form, one object a moment with `query_id` and `query` beside its fields, is read too.
"""

import reprlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.errors import InvalidInput, NotFound
from engine.files import read_json, write_json
from engine.words import trimmed
from trainer.collection.checks import check_duration, check_number, check_span

# Of an id: 18 digits, as run files have it, fit into 64 bits.
_IDS = 10**18
# How the slices of queries begin that what is said answers.
_SAID = ("subtitle", "paraphrase", "second-language")


@dataclass(frozen=True, slots=True)
class JudgedMoment:
    """One moment beside a query: times in seconds, similarity -1..1, relevance 0..4 or None, unjudged."""

    pair_id: int
    video: str
    start: float
    end: float
    duration: float
    caption: str
    similarity: float
    relevance: float | None = None


@dataclass(frozen=True, slots=True)
class JudgedQuery:
    """A sentence and its moments; `slice` names the kind of question, where the file says so.

    also: other slices that results are told by, such as "long-video". `slices` are all of them.
    """

    query_id: int
    query: str
    moments: tuple[JudgedMoment, ...]
    slice: str | None = None
    also: tuple[str, ...] = ()

    @property
    def slices(self) -> tuple[str, ...]:
        """Every slice that the query belongs to, its kind first."""
        return (self.slice, *self.also) if self.slice is not None else ()

    @property
    def asks_speech(self) -> bool:
        """Whether what is said answers the query, rather than what is to be seen."""
        return self.slice is not None and self.slice.startswith(_SAID)

    @property
    def asks_text(self) -> bool:
        """Whether what is said or written answers the query, rather than what is to be seen."""
        return self.asks_speech or (self.slice is not None and self.slice.startswith("screen-text"))


def load_queries(path: Path) -> list[JudgedQuery]:
    """Read an annotation file.

    Raises NotFound for a missing file and InvalidInput, naming the place, for what is not the format.
    """
    entries = _nested(_parsed(path, list))
    queries = [check_query(entry, f"{path}: entry {row}") for row, entry in enumerate(entries)]
    seen: set[int] = set()
    for query in queries:
        if query.query_id in seen:
            raise InvalidInput(
                f"{path}: query_id {query.query_id} appears twice; give every query its own id."
            )
        seen.add(query.query_id)
    return queries


def save_queries(path: Path, queries: Iterable[JudgedQuery]) -> None:
    """Write an annotation file atomically; unjudged moments get no `relevance`."""
    write_json(path, [_query_entry(query) for query in queries])


def nearest_moments(queries: Sequence[JudgedQuery], top_k: int) -> list[JudgedQuery]:
    """Keep of each query the `top_k` moments whose captions are most similar to it."""
    return [
        replace(query, moments=tuple(sorted(query.moments, key=lambda moment: -moment.similarity)[:top_k]))
        for query in queries
    ]


def load_corpus(path: Path) -> dict[str, float]:
    """Read `{video: duration in seconds}`.

    Raises NotFound for a missing file and InvalidInput for a duration that is not a positive number.
    """
    corpus = _parsed(path, dict)
    return {video: check_duration(value, f"{path}: duration of {video!r}") for video, value in corpus.items()}


def save_corpus(path: Path, durations: dict[str, float]) -> None:
    """Write `{video: duration in seconds}` atomically."""
    write_json(path, durations)


def _nested(entries: list[Any]) -> list[Any]:
    """Return flat entries grouped by query, in order of first appearance; nested ones as they are."""
    flat = [entry for entry in entries if isinstance(entry, dict) and "pair_id" in entry]
    if not flat or len(flat) != len(entries):
        return entries
    grouped: dict[Any, dict[str, Any]] = {}
    for entry in flat:
        head = {key: entry.get(key) for key in ("query_id", "query")}
        grouped.setdefault(repr(head), {**head, "relevant_moment": []})["relevant_moment"].append(entry)
    return list(grouped.values())


def _parsed(path: Path, kind: type) -> Any:
    try:
        value = read_json(path)
    except FileNotFoundError as error:
        raise NotFound(f"{path} does not exist; name an annotation file.") from error
    except ValueError as error:
        why = getattr(error, "why", f"it is not JSON ({error})")
        raise InvalidInput(f"{path} cannot be used: {why}.") from error
    if not isinstance(value, kind):
        shape = "a list of queries" if kind is list else "an object of video: duration"
        raise InvalidInput(f"{path} holds {type(value).__name__} at the top; it must be {shape}.")
    return value


def check_query(entry: Any, where: str) -> JudgedQuery:
    """Return one entry of the nested form; InvalidInput, beginning with `where`, for anything else."""
    if not isinstance(entry, dict) or not isinstance(entry.get("relevant_moment"), list):
        raise InvalidInput(
            f"{where} has no list 'relevant_moment'; group a query's moments under it (the nested form)."
        )
    query_id, text = _integer(entry, "query_id", where), _text(entry, "query", where)
    kind, *also = _slices(entry.get("slice"), where)
    named = f"{where} (query_id {query_id})"
    moments = (_moment(value, f"{named}, moment {row}") for row, value in enumerate(entry["relevant_moment"]))
    return JudgedQuery(query_id, text, tuple(moments), kind, tuple(also))


def _slices(value: Any, where: str) -> list[Any]:
    """Return the slices of a query, [None] where it has none."""
    names = value if isinstance(value, list) and value else [value]
    if names != [None] and not all(isinstance(name, str) and name for name in names):
        raise InvalidInput(f"{where}: 'slice' is {value!r}; write a word, a list of words, or leave it out.")
    return names


def _moment(value: Any, where: str) -> JudgedMoment:
    if not isinstance(value, dict):
        raise InvalidInput(f"{where} is {type(value).__name__}; write an object.")
    start, end = check_span(value.get("timestamp"), f"{where}: timestamp")
    relevance = check_number(value, "relevance", where) if value.get("relevance") is not None else None
    if relevance is not None and not 0 <= relevance <= 4:
        raise InvalidInput(f"{where}: relevance is {relevance}; grades go from 0 to 4.")
    return JudgedMoment(
        pair_id=_integer(value, "pair_id", where),
        video=_text(value, "video_name", where),
        start=start,
        end=end,
        duration=check_duration(value.get("duration"), f"{where}: 'duration'"),
        caption=_text(value, "caption", where),
        similarity=check_number(value, "similarity", where),
        relevance=relevance,
    )


def _integer(entry: dict[str, Any], key: str, where: str) -> int:
    value = entry.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not -_IDS < value < _IDS:
        raise InvalidInput(f"{where}: {key!r} is {reprlib.repr(value)}; write an integer of up to 18 digits.")
    return value


def _text(entry: dict[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not trimmed(value):
        raise InvalidInput(f"{where}: {key!r} is {value!r}; write a text that is not empty.")
    return value


def _query_entry(query: JudgedQuery) -> dict[str, Any]:
    entry: dict[str, Any] = {"query_id": query.query_id, "query": query.query}
    if query.slice is not None:
        entry["slice"] = [query.slice, *query.also] if query.also else query.slice
    entry["relevant_moment"] = [_moment_entry(moment) for moment in query.moments]
    return entry


def _moment_entry(moment: JudgedMoment) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "pair_id": moment.pair_id,
        "video_name": moment.video,
        "timestamp": [moment.start, moment.end],
        "duration": moment.duration,
        "caption": moment.caption,
        "similarity": moment.similarity,
    }
    if moment.relevance is not None:
        entry["relevance"] = moment.relevance
    return entry
