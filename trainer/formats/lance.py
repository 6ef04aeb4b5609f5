"""A version's segments as a Lance data set, for other engines: the rows of `trainer.formats.parquet`.

Lance's own commit makes it whole or nothing, and keeps the data set's versions before.
"""

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.corpus import open_corpus
from engine.entries import Version
from engine.errors import InvalidInput, SprError, Unavailable
from engine.version_lock import held
from trainer.formats.parquet import GROUP, OnProgress, batches, check_place, schema_of

if TYPE_CHECKING:
    import pyarrow as pa

_VERSIONS = "_versions"


def export_lance(
    collection: Path,
    out: Path,
    version: str = "",
    force: bool = False,
    on_progress: OnProgress | None = None,
    group: int = GROUP,
) -> tuple[Version, int]:
    """Write the segments of a version, the current one for "", to a directory; return it and the rows.

    force: let them be the next version of a data set that is there. Else as `export_parquet`.
    """
    lance, pyarrow = _libraries()
    check_place(collection, out, force and (out / _VERSIONS).is_dir(), "write a data set's next version")
    corpus, fresh = open_corpus(collection, version), not out.exists()
    tell, rows, failed = on_progress or (lambda *_: None), 0, list[SprError]()

    def told() -> Iterator["pa.RecordBatch"]:
        nonlocal rows
        try:
            for batch in batches(corpus, schema, group):
                yield batch
                rows += batch.num_rows
                tell("segments", rows, corpus.version.segments)
        except SprError as error:
            # Lance would tell of it in words of its own.
            failed.append(error)
            raise

    with held(collection, corpus.id), _removed_on_failure(out if fresh else None):
        schema = schema_of(corpus)
        reader = pyarrow.RecordBatchReader.from_batches(schema, told())
        try:
            lance.write_dataset(reader, str(out), mode="create" if fresh else "overwrite")
        except OSError as error:
            raise failed[0] if failed else _refused(error, out) from error
    return corpus.version, rows


@contextlib.contextmanager
def _removed_on_failure(made: Path | None) -> Iterator[None]:
    """Leave nothing of a data set that was not there before; None for one that was."""
    try:
        yield
    except BaseException:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)
        raise


def _refused(error: OSError, out: Path) -> SprError:
    """Return what Lance, whose errors have words and no number, tells of the disk."""
    why = str(error).partition("\n")[0].rpartition(", ")[0] or str(error)
    if f"os error {errno.ENOSPC}" in why:
        return Unavailable(f"{out} cannot be written ({why}): make room and run it again.", "DISK_FULL")
    return InvalidInput(f"{out} cannot be written ({why}): choose another place.")


def _libraries() -> tuple[Any, Any]:
    try:
        import lance
        import pyarrow
    except ModuleNotFoundError:
        message = "Lance needs pylance; install it with: pip install 'spr-engine[lance]'"
        raise InvalidInput(message, "NOT_INSTALLED") from None
    return lance, pyarrow
