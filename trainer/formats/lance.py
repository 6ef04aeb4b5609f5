"""Rows as a Lance data set, a directory.

A new one is renamed when it is whole; of one that is there Lance's own commit makes the next version whole,
and keeps those before.
"""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from engine.errors import InvalidInput, SprError, Unavailable
from engine.folders import new_folder
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
        try:
            with new_folder(out) if fresh else contextlib.nullcontext(out) as made:
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


def _refused(error: OSError, out: Path) -> SprError:
    """Return what the disk refused. Lance's own errors have words and no number."""
    why = error.strerror or str(error).partition("\n")[0].rpartition(", ")[0] or str(error)
    if error.errno == errno.ENOSPC or f"os error {errno.ENOSPC}" in why:
        return Unavailable(f"{out} cannot be written ({why}): make room and run it again.", "DISK_FULL")
    return InvalidInput(f"{out} cannot be written ({why}): choose another place.")
