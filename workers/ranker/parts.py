"""A part as the ranker reads it: its maps, opened once and shared by all versions that list it."""

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from engine.corpus import PartOfVersion
from engine.verification import verify
from workers.ranker.scoring.ranker import Reads
from workers.ranker.stores import contexts, features
from workers.ranker.stores.contexts import EncodedStore
from workers.ranker.stores.features import FeatureMaps
from workers.watch import Watch


@dataclass(frozen=True, eq=False)
class RankerPart:
    """Features and stored contexts (None without) of a part's videos, by number.

    warmed: what of it was brought into memory.
    """

    features: FeatureMaps
    contexts: EncodedStore | None
    watch: Watch
    warmed: set[Reads] = field(default_factory=set)

    @staticmethod
    def open(part: PartOfVersion) -> "RankerPart":
        """Verify and map a part; Mismatch or NotFound name the file that is wrong."""
        about, directory = part.about, part.directory
        stored = about.files_of(contexts.DIRECTORY)
        names = about.files_of(features.DIRECTORY) + stored
        # The others are read once, here.
        mapped = {f"{features.DIRECTORY}/{stream}.npy" for stream in about.streams}
        mapped |= {f"{contexts.DIRECTORY}/{modality}.npy" for modality in contexts.MODALITIES}
        watch = Watch(directory, about, mapped & set(names))
        verify(directory, about, names)
        encoded = EncodedStore.open(directory) if stored else None
        return RankerPart(FeatureMaps.open(directory), encoded, watch)

    def arrays(self, reads: Reads) -> list[NDArray[Any]]:
        """Return all arrays of a kind."""
        if reads == "features":
            return self.features.arrays()
        return self.contexts.arrays() if reads == "stored contexts" and self.contexts else []
