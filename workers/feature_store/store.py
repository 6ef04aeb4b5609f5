"""The feature store: rows of vectors by video, of one directory or the union of its parts.

A part is a `single.SingleStore`, which says what lies on disk; `shares.py` says who writes which. Where two
parts have a video of the same id, the lower one counts: this befalls writers that began with different files,
and the higher part's next writer takes its own out.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from numpy.typing import NDArray

from engine.errors import Mismatch, NotFound
from workers.feature_store.format import NewVideo, Stream, VideoRecord, described, told, write_header
from workers.feature_store.making import make, make_once, make_part, shared_lock
from workers.feature_store.shares import PARTS, WHOLE, Share, part_path, parts_of
from workers.feature_store.single import SingleStore

__all__ = ["FeatureStore", "NewVideo", "Stream", "VideoRecord"]


class FeatureStore:
    """Vectors of many videos in a few memory-mapped files. One writer a part, any number of readers."""

    def __init__(self, path: Path, mode: Literal["r", "a"], share: Share = WHOLE) -> None:
        """Use `open`, `create` or `ensure`."""
        self.path, self.share = path, share
        self.parts: dict[int, SingleStore] = {}
        self._writing = mode == "a"
        self._open = contextlib.ExitStack()
        try:
            if self._writing and not share.whole:
                with told(path, "written"):
                    self._open.enter_context(shared_lock(path))
                make_part(path, share.index)
            self._add(0, write=True)
            first = self.parts[0]
            self.streams, self.dtype, self.meta = first.streams, first.dtype, first.meta
            self._add_parts()
            # What others write at this moment looks cut short.
            own = [number for number in self.parts if share.has(number)]
            self.notices = [note for number in own for note in self.parts[number].notices]
            for number in own if self._writing else []:
                # The writer of the whole opens its parts when it changes them: they may be many.
                if self.parts[number].notices or not share.whole:
                    self.writer(number)
            self._settle_doubles()
        except BaseException:
            self.close()
            raise

    def _add(self, part: int, write: bool) -> SingleStore:
        own = write and self._writing and self.share.has(part)
        # `lock` of part 0 is the whole's.
        locked = self.path / PARTS if own and part == 0 and not self.share.whole else None
        found = SingleStore(part_path(self.path, part), "a" if own else "r", locked)
        self._open.callback(found.close)
        self.parts[part] = found
        return found

    def _add_parts(self) -> list[str]:
        """Open the parts that are new, and return their videos."""
        with told(self.path, "read"):
            new = [part for part in parts_of(self.path) if part not in self.parts]
        for part in new:
            added = self._add(part, write=False)
            held = described(added.streams, added.dtype.name)
            wanted = described(self.streams, self.dtype.name)
            if held != wanted:
                raise Mismatch(
                    f"{added.path} holds {held}, and {self.path} {wanted}; move {added.path} away and ingest "
                    "again"
                )
        self.parts = dict(sorted(self.parts.items()))
        return [video for part in new for video in self.parts[part].ids()]

    @staticmethod
    def open(path: str | Path, mode: Literal["r", "a"] = "r", share: Share = WHOLE) -> "FeatureStore":
        """Open a store for reading, or as the only writer of a share of its parts.

        `notices` are sentences about what is odd in it. Raises NotFound where there is none, Mismatch where
        files are damaged, Unavailable for a second writer or where the disk does not let it write.
        """
        return FeatureStore(Path(path), mode, share)

    @staticmethod
    def create(
        path: str | Path,
        streams: Mapping[str, Stream],
        dtype: str = "float16",
        meta: Mapping[str, Any] | None = None,
    ) -> "FeatureStore":
        """Make an empty store and open it for appending; InvalidInput where one exists already."""
        make(Path(path), streams, dtype, meta or {})
        return FeatureStore(Path(path), "a")

    @staticmethod
    def ensure(
        path: str | Path,
        streams: Mapping[str, Stream],
        dtype: str = "float16",
        meta: Mapping[str, Any] | None = None,
        share: Share = WHOLE,
    ) -> "FeatureStore":
        """Open for appending, made first where absent; the writer of the whole notes `meta` if given.

        Raises Mismatch where streams or dtype differ.
        """
        path = Path(path)
        if not (path / "store.json").exists():
            (make if share.whole else make_once)(path, streams, dtype, meta or {})
        store = FeatureStore.open(path, "a", share)
        held, wanted = described(store.streams, store.dtype.name), described(streams, dtype)
        if held != wanted:
            store.close()
            raise Mismatch(
                f"the feature store in {path} holds {held}, not {wanted}; "
                "use the settings it was made with, or another collection"
            )
        if share.whole and meta is not None and store.meta != dict(meta):
            with told(path, "written"):
                write_header(path, streams, dtype, meta)
            store.meta = dict(meta)
        return store

    def refresh(self) -> list[str]:
        """Take in what others have completed since the last look, and return the ids; Mismatch for damage."""
        if self._writing and self.share.whole:
            return []
        seen = [video for part in self.parts.values() if not part.writable for video in part.refresh()]
        return seen + self._add_parts()

    def writer(self, part: int) -> SingleStore:
        """Return a part, open for appending where this is its writer."""
        if not self.parts[part].writable:
            self._add(part, write=True)
        return self.parts[part]

    def ids(self) -> list[str]:
        """Return the ids of all videos in Python's string order."""
        parts = list(self.parts.values())
        return sorted(parts[0].ids() if len(parts) == 1 else set().union(*(part.ids() for part in parts)))

    def __contains__(self, video_id: object) -> bool:
        return any(video_id in part for part in self.parts.values())

    def __len__(self) -> int:
        return len(self.parts[0]) if len(self.parts) == 1 else len(self.ids())

    def part_of(self, video_id: str) -> int:
        """Return the number of the part that has a video; NotFound for an unknown id."""
        for number, part in self.parts.items():
            if video_id in part:
                return number
        raise NotFound(f"video {video_id!r} is not in the feature store {self.path}; ingest it first")

    def record(self, video_id: str) -> VideoRecord:
        """Return what is known of a video; NotFound for an unknown id."""
        return self.parts[self.part_of(video_id)].record(video_id)

    def rows(self, video_id: str, stream: str) -> NDArray[Any]:
        """Return a video's rows of a stream: (n, dim), read-only, mapped from the file.

        They are checked when they are first asked for: Mismatch where they are not as they were stored.
        """
        if stream not in self.streams:
            raise NotFound(f"{self.path} has no stream {stream!r}, only {', '.join(sorted(self.streams))}")
        return self.parts[self.part_of(video_id)].rows(video_id, stream)

    def sound(self, video_id: str) -> bool:
        """Whether a video's rows are those that were stored."""
        return self.parts[self.part_of(video_id)].sound(video_id)

    def writable(self, video_id: str) -> bool:
        """Whether this is the writer of a video's part."""
        return self._writing and self.share.has(self.part_of(video_id))

    def append(
        self,
        video_id: str,
        arrays: Mapping[str, NDArray[Any]],
        uri: str = "",
        sha256: str = "",
        duration: float = 0.0,
        info: Mapping[str, Any] | None = None,
    ) -> VideoRecord:
        """Add a video, or replace it; on return it survives a kill and a power cut.

        arrays: stream -> (n, dim) real numbers, cast to the store's dtype; a stream left out has 0 rows.
        Raises InvalidInput for an id that cannot be one, a wrong shape or name, or a value that is not finite
        in the store's dtype.
        """
        self.extend([NewVideo(video_id, arrays, uri, sha256, duration, info or {})])
        return self.record(video_id)

    def extend(self, videos: Sequence[NewVideo]) -> None:
        """Add or replace videos as `append` does, with one wait for the disk a part for all of them.

        After a kill some of them may be there, each whole.
        """
        by_part: dict[int, list[NewVideo]] = {}
        for video in videos:
            own = video.id in self and self.writable(video.id)
            by_part.setdefault(self.part_of(video.id) if own else self.share.index, []).append(video)
        for part, new in by_part.items():
            self.writer(part).extend(new)

    def revise(self, video_id: str, *, uri: str, info: Mapping[str, Any], rename: str = "") -> VideoRecord:
        """Change what is noted of a video, and its id where `rename` is one, and keep its rows."""
        return self.writer(self.part_of(video_id)).revise(video_id, uri=uri, info=info, rename=rename)

    def forget(self, video_id: str, deleted: bool = False) -> None:
        """Take a video out; its rows stay, unread; `deleted`: for `recall`. NotFound for an unknown id."""
        self.writer(self.part_of(video_id)).forget(video_id, deleted)

    def close(self) -> None:
        """Give up the writer's locks; arrays already handed out stay valid."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _settle_doubles(self) -> None:
        """Take out of this writer's parts what lower ones have, too; tell of other content of the same id."""
        for number, video in list(self._doubles()):
            first, second = self.record(video), self.parts[number].record(video)
            if self._writing and self.share.has(number):
                self.writer(number).forget(video)
            elif first.sha256 != second.sha256:
                self.notices.append(
                    f"two files were given the id {video!r} at the same time, {first.uri} and {second.uri}; "
                    "the second is not in the collection: ingest it again"
                )

    def _doubles(self) -> Iterator[tuple[int, str]]:
        if len(self.parts) > 1:
            for number, part in self.parts.items():
                yield from ((number, video) for video in part.ids() if self.part_of(video) != number)
