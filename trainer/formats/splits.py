"""Writes a split of judged queries into a collection."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from trainer.collection.annotations import JudgedQuery, save_corpus, save_queries
from trainer.formats.segments import forget_given


def write_split(
    collection: Path, split: str, queries: Sequence[JudgedQuery], durations: Mapping[str, float]
) -> bool:
    """Write a split's queries and `{video: seconds}`; return whether they took the place of others.

    What came with the earlier queries goes with them.
    """
    target = collection / "annotations" / f"{split}.json"
    replaced = target.is_file()
    forget_given(collection, split)
    save_corpus(target.with_name(f"corpus_{split}.json"), dict(durations))
    save_queries(target, queries)
    return replaced


def told(replaced: Sequence[str]) -> list[str]:
    """Return a note on the splits whose queries were replaced, none where there are none."""
    return [f"the queries that {', '.join(replaced)} had were replaced"] if replaced else []
