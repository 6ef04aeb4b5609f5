"""Files as they are found, with their ids and parts, one after the other."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trainer.ingest import media
from trainer.ingest.dealing import part_before, videos_away
from trainer.ingest.naming import Clash, Names
from trainer.ingest.scan import Files, VideoFile
from trainer.spread.dealing import Given
from workers.feature_store.shares import Share
from workers.feature_store.store import FeatureStore


@dataclass
class Naming:
    """A pass over files: names them as an ingest of all of them does. clashes: those that have no id yet."""

    clashes: list[tuple[VideoFile, str]] = field(default_factory=list)
    named: int = 0

    def given(
        self,
        files: Iterable[VideoFile],
        alone: Callable[[VideoFile], bool],
        store: FeatureStore | None,
        share: Share,
    ) -> Iterator[Given]:
        """Yield what can be ingested. store: what is known, None for nothing. share: of so many writers."""
        known = {} if store is None else {video: store.record(video).uri for video in store.ids()}
        home = {} if store is None else {uri: store.part_of(video) for video, uri in known.items()}
        away = {} if store is None else videos_away(store, {media.uri_of(file.path) for file in files})
        names = Names(known, alone)
        for file in files:
            name = names.name(file)
            if isinstance(name, Clash):
                self.clashes.append((file, name.other))
                continue
            part = home.get(media.uri_of(file.path)) if home else None
            if part is None and away and store is not None:
                part = part_before(file.path, away, store.part_of, share)
            self.named += 1
            yield Given(name, str(file.path), file.relative, part)


def stems_alone(files: Files) -> Callable[[VideoFile], bool]:
    """Return what tells whether a file's stem is no other's. It takes 8 bytes a file while it is made.

    Two stems of one hash are taken to be the same, once in 10^7 lists of 10^6: both get longer names.
    """
    hashes, counts = np.unique(
        np.fromiter(map(hash, files.stems()), np.int64, len(files)), return_counts=True
    )
    shared = set(hashes[counts > 1].tolist())
    return lambda file: hash(file.stem) not in shared


def opened(path: Path) -> FeatureStore | None:
    """Return the store at a path as it is now, None where there is none."""
    return FeatureStore.open(path) if (path / "store.json").exists() else None
