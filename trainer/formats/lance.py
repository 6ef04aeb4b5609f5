"""Rows as a Lance data set, a directory. Its own commit makes it whole, and keeps its versions before."""

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from engine.errors import InvalidInput, SprError, Unavailable
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
        with _removed_on_failure(out if fresh else None):
            try:
                lance.write_dataset(reader, str(out), mode="create" if fresh else "overwrite")
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
