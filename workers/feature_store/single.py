"""The feature store: rows of vectors by video, safe against a kill at any moment, checked by checksums.

    store.json            what is in it: dtype, streams (dim, step), meta
    <stream>.bin          rows, little-endian, one after another
    journal.jsonl         one line a video, written after its rows are on disk
    journal.copy.jsonl    the same lines: each file repairs the other

Append-only. The journal says what there is: the last line of an id wins. Rows that no line names, of a killed
writer or of lines that were lost, stay where they are, and new rows come behind them. Readers map the rows,
take no lock, and see the videos that were complete when they opened (or last called `refresh`). `store.py`
makes the feature store of one or several of these.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

from numpy.typing import NDArray

from engine.errors import InvalidInput, Mismatch, NotFound
from engine.files import MALFORMED
from workers.feature_store.format import (
    FORMAT,
    Header,
    NewVideo,
    VideoRecord,
    check_id,
    parse,
    read_header,
    told,
    write_header,
)
from workers.feature_store.journal import JOURNAL, Journal, unnumbered
from workers.feature_store.locking import lock
from workers.feature_store.rows import RowFiles


class SingleStore:
    """Vectors of many videos in a few memory-mapped files. One writer at a time, any number of readers."""

    def __init__(self, path: Path, mode: Literal["r", "a"], locked: Path | None = None) -> None:
        """Open for reading, or as the only writer. locked: the directory of the writer's lock, else `path`.

        `notices` are sentences about what is odd. Raises NotFound where there is no store, Mismatch where
        files are damaged, Unavailable for a second writer or where the disk does not let it write.
        """
        self.path = path
        self.notices: list[str] = []
        self._lock: BinaryIO | None = None
        self._begin(read_header(path))
        try:
            with told(path, "read" if mode == "r" else "written"):
                self._lock = lock(locked or path, new=locked is not None) if mode == "a" else None
                self.refresh()
                self.notices = [*filter(None, [self._journal.damage]), *self._rows.unnamed()]
                if self._lock:
                    self._mend()
        except BaseException:
            self.close()
            raise

    def _begin(self, header: Header) -> None:
        self.streams, self.dtype, self.meta = header.streams, header.dtype, header.meta
        self._format = header.format
        self._journal = Journal(self.path)
        self._rows = RowFiles(self.path, self.streams, self.dtype)
        self._records: dict[str, VideoRecord] = {}

    @property
    def writable(self) -> bool:
        """Whether this is the store's writer."""
        return self._lock is not None

    def refresh(self) -> list[str]:
        """Take in the videos completed since the last look and return their ids; Mismatch for damage."""
        if self._format != FORMAT and (self._records or self._lock is None):
            self._begin(read_header(self.path))
        try:
            entries = self._journal.read() if self._format == FORMAT else unnumbered(self.path)
            for entry in entries:
                self._note(entry)
        except (*MALFORMED, RecursionError, InvalidInput) as error:
            raise Mismatch(
                f"{self.path / JOURNAL} is damaged ({error}); restore it from a backup, or move {self.path} "
                "away and ingest again"
            ) from error
        self._rows.check_sizes()
        return [entry["id"] for entry in entries if "id" in entry]

    def ids(self) -> Set[str]:
        """Return the ids of all videos."""
        return self._records.keys()

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._records

    def __len__(self) -> int:
        return len(self._records)

    def record(self, video_id: str) -> VideoRecord:
        """Return what is known of a video; NotFound for an unknown id."""
        if video_id not in self._records:
            raise NotFound(f"video {video_id!r} is not in the feature store {self.path}; ingest it first")
        return self._records[video_id]

    def rows(self, video_id: str, stream: str) -> NDArray[Any]:
        """Return a video's rows of a stream: (n, dim), read-only, mapped from the file.

        They are checked when they are first asked for: Mismatch where they are not as they were stored.
        """
        if stream not in self.streams:
            raise NotFound(f"{self.path} has no stream {stream!r}, only {', '.join(sorted(self.streams))}")
        return self._rows.of(self.record(video_id), stream)

    def sound(self, video_id: str) -> bool:
        """Whether a video's rows are those that were stored."""
        return all(self._rows.sound(self.record(video_id), stream) for stream in self.streams)

    def extend(self, videos: Sequence[NewVideo]) -> None:
        """See `FeatureStore.extend`."""
        self._check_writable()
        self.log([asdict(record) for record in self._rows.append(videos)])

    def revise(self, video_id: str, *, uri: str, info: Mapping[str, Any], rename: str = "") -> VideoRecord:
        """Change what is noted of a video, and its id where `rename` is one, and keep its rows."""
        self._check_writable()
        check_id(rename or video_id)
        record = replace(self.record(video_id), id=rename or video_id, uri=uri, info=dict(info))
        self.log([asdict(record)] + ([{"forget": video_id}] if record.id != video_id else []))
        return record

    def forget(self, video_id: str, deleted: bool = False) -> None:
        """Take a video out; its rows stay, unread; `deleted`: for `recall`. NotFound for an unknown id."""
        self._check_writable()
        self.record(video_id)
        self.log([{"forget": video_id, **({"deleted": True} if deleted else {})}])

    def close(self) -> None:
        """Give up the writer's lock; arrays already handed out stay valid."""
        self._journal.close()
        self._rows.close()
        if self._lock is not None:
            self._lock.close()
        self._lock = None

    def _mend(self) -> None:
        """Let both journals be whole and of this format, and new rows come behind all that there are."""
        if self._format != FORMAT:
            whole = [
                replace(record, checksums=self._rows.checksums(record)) for record in self._records.values()
            ]
            self._journal.start([asdict(record) for record in whole])
            write_header(self.path, self.streams, self.dtype.name, self.meta)
            self._begin(read_header(self.path))
            self.refresh()
        self._journal.mend()
        self._rows.open()

    def _check_writable(self) -> None:
        if self._lock is None:
            raise InvalidInput(f"the feature store {self.path} is not open for appending; use mode 'a'")

    def log(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Append entries to the journal, durably, and take them in."""
        self._journal.append(entries)
        for entry in entries:
            self._note(entry)

    def _note(self, entry: Mapping[str, Any]) -> None:
        """Take in an entry of the journal."""
        if "forget" in entry:
            self._records.pop(entry["forget"], None)
            return
        record = parse(entry, self.streams)
        self._records[record.id] = record
        self._rows.note(record)
