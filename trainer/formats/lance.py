"""Rows as a Lance data set, a directory.

A new one is renamed when it is whole; of one that is there Lance's own commit makes the next version whole,
and keeps those before.
"""

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from engine.errors import InvalidInput, SprError, Unavailable
from engine.files import sync
from engine.partials import partial_of
from trainer.formats.export import Rows


class Lance:
    """See `export.Format`."""

    forced = "write a data set's next version"

    def check_installed(self) -> None:
        """See Format."""
        try:
            import lance  # noqa: F401
            import pyarrow  # noqa: F401
        except ModuleNotFoundError:
            message = "Lance needs pylance; install it with: pip install 'spr-engine[lance]'"
            raise InvalidInput(message, "NOT_INSTALLED") from None

    def is_one(self, path: Path) -> bool:
        """See Format."""
        return (path / "_versions").is_dir()

    def write(self, rows: Rows, out: Path) -> None:
        """See Format."""
        import lance
        import pyarrow

        fresh, failed = not out.exists(), list[Exception]()
        reader = pyarrow.RecordBatchReader.from_batches(rows.schema, _kept(rows, failed))
        with _appearing(out) if fresh else contextlib.nullcontext(out) as made:
            try:
                lance.write_dataset(reader, str(made), mode="create" if fresh else "overwrite")
            except OSError as error:
                raise failed[0] if failed else _refused(error, out) from error


def _kept(rows: Rows, failed: list[Exception]) -> Iterator[object]:
    """Yield batches; what goes wrong, of which Lance would tell in words of its own, is kept."""
    try:
        yield from rows
    except Exception as error:
        failed.append(error)
        raise


@contextlib.contextmanager
def _appearing(out: Path) -> Iterator[Path]:
    """Yield where a data set is made that takes the name `out` once it is whole, and goes on failure."""
    partial = partial_of(out)
    try:
        yield partial
        for path in (*partial.rglob("*"), partial):
            sync(path)
        partial.rename(out)
        sync(out.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _refused(error: OSError, out: Path) -> SprError:
    """Return what Lance, whose errors have words and no number, tells of the disk."""
    why = str(error).partition("\n")[0].rpartition(", ")[0] or str(error)
    if f"os error {errno.ENOSPC}" in why:
        return Unavailable(f"{out} cannot be written ({why}): make room and run it again.", "DISK_FULL")
    return InvalidInput(f"{out} cannot be written ({why}): choose another place.")
