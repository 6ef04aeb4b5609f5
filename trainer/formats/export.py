"""A version for other engines: the rows of `segment_rows`, in the format of a file or directory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from engine.corpus import Corpus, open_corpus
from engine.entries import Version
from engine.errors import InvalidInput
from engine.files import refusal
from engine.partials import partials_of, remove_abandoned
from engine.version_lock import held
from trainer.formats.segment_rows import GROUP, batches, schema_of

if TYPE_CHECKING:
    import pyarrow as pa

OnProgress = Callable[[str, int, int], None]


@dataclass
class Rows:
    """The rows of a version, iterated once, at most `group` in a batch. count: those that were taken."""

    corpus: Corpus
    schema: "pa.Schema"
    group: int
    on_progress: OnProgress
    count: int = 0

    def __iter__(self) -> Iterator["pa.RecordBatch"]:
        for batch in batches(self.corpus, self.schema, self.group):
            yield batch
            self.count += batch.num_rows
            self.on_progress("segments", self.count, self.corpus.version.segments)


class Format(Protocol):
    """What rows are written as. forced: what --force does with one that is there."""

    forced: str

    def check_installed(self) -> None:
        """Refuse (InvalidInput) where its library is missing."""
        ...

    def is_one(self, path: Path) -> bool:
        """Whether what is there may be written over."""
        ...

    def write(self, rows: Rows, out: Path) -> None:
        """Write all rows, or leave what was there; memory holds a batch."""
        ...


def export(
    collection: Path,
    out: Path,
    into: Format,
    version: str = "",
    force: bool = False,
    on_progress: OnProgress | None = None,
    group: int = GROUP,
) -> tuple[Version, int]:
    """Write the segments of a version, the current one for "", and return it and how many they are.

    Mismatch for a damaged part; InvalidInput for a place that is taken, or lies in the collection.
    """
    into.check_installed()
    if out.exists() and not into.is_one(out):
        raise InvalidInput(f"{out} exists already and is something else; choose another name, or remove it.")
    if out.exists() and not force:
        raise InvalidInput(f"{out} exists already; give --force to {into.forced}, or another name.")
    if out.resolve().is_relative_to(collection.resolve()):
        raise InvalidInput(f"{out} lies inside the collection {collection}: choose another place.")
    corpus = open_corpus(collection, version)
    remove_abandoned(partials_of(out))
    rows = Rows(corpus, schema_of(corpus), group, on_progress or (lambda *_: None))
    try:
        with held(collection, corpus.id):
            into.write(rows, out)
    except OSError as error:
        raise refusal(error, out) from error
    return corpus.version, rows.count
