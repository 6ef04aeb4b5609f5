"""Rows as a Parquet file."""

from pathlib import Path
from typing import Any

from engine.errors import InvalidInput
from engine.files import replacing
from trainer.formats.export import Rows


class Parquet:
    """See `export.Format`: a file, a row group a batch."""

    forced = "replace a file"

    def check_installed(self) -> None:
        """See Format."""
        try:
            import pyarrow.parquet  # noqa: F401
        except ModuleNotFoundError:
            message = "Parquet needs pyarrow; install it with: pip install 'spr-engine[parquet]'"
            raise InvalidInput(message, "NOT_INSTALLED") from None

    def is_one(self, path: Path) -> bool:
        """See Format."""
        return path.is_file()

    def write(self, rows: Rows, out: Path) -> None:
        """See Format."""
        from pyarrow import parquet

        options: dict[str, Any] = {"compression": "zstd", "use_dictionary": ["video", "uri"]}
        with replacing(out) as partial, parquet.ParquetWriter(partial, rows.schema, **options) as writer:
            for batch in rows:
                writer.write_batch(batch, row_group_size=rows.group)
