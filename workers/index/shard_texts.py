"""What is said, or written, in the videos of a shard: its parts' texts, searched one by one and merged."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from engine.corpus import Corpus
from engine.merge import top_k
from engine.texts import MEANING, WORDS, ListName, TextHits, TextsSought
from engine.types import Hits, Ordinals
from spr.internal.v1.index_shard_service_pb2 import Allowed
from workers.index.living import Living
from workers.index.selections import Rows, Selections
from workers.index.text_part import TextPart

_NOTHING = np.zeros(0, np.int32)


class ShardTexts:
    """One channel of a shard of a version; nothing of it changes."""

    def __init__(
        self, channel: str, parts: Sequence[tuple[TextPart | None, Ordinals]], corpus: Corpus
    ) -> None:
        """parts: all of the shard, each with its videos' ordinals, -1 for a deleted one."""
        self._channel = channel
        tables = [
            Rows(ordinals, part.videos if part else _NOTHING, part.segments if part else _NOTHING)
            for part, ordinals in parts
        ]
        self._selections = Selections(tables, corpus)
        self._parts = [(part, ordinals) for part, ordinals in parts]
        self._living = [_living(part, ordinals) for part, ordinals in parts]

    @classmethod
    def of(
        cls, channel: str, parts: Sequence[tuple[Mapping[str, TextPart], Ordinals]], corpus: Corpus
    ) -> "ShardTexts | None":
        """Return a channel of a shard, None where no part has it. parts: the texts of each by channel."""
        mine = [(texts.get(channel), ordinals) for texts, ordinals in parts]
        return cls(channel, mine, corpus) if any(part is not None for part, _ in mine) else None

    def search(self, sought: TextsSought, k: int, allowed: Allowed | None) -> list[TextHits]:
        """Return the lists of the best `k` living segments by what is sought, best first.

        Equal scores are in order of (ordinal, segment). InvalidInput for a filter or vector that cannot be.
        """
        chosen = self._living if allowed is None else self._selections.of(allowed)
        found = []
        if sought.text:
            text = sought.text
            hits = self._merged(
                lambda part, living: part.search_words(text, k, living.rows if living else None), chosen, k
            )
            found.append(TextHits(ListName(self._channel, WORDS), hits))
        sentence = sought.sentence
        if sentence is not None and any(part is not None and part.vectors for part, _ in self._parts):
            hits = self._merged(lambda part, living: part.search_meaning(sentence, k, living), chosen, k)
            found.append(TextHits(ListName(self._channel, MEANING), hits))
        return found

    def _merged(
        self, search: Callable[[TextPart, Living | None], Hits], chosen: Sequence[Living | None], k: int
    ) -> Hits:
        found = []
        for (part, ordinals), living in zip(self._parts, chosen, strict=True):
            if part is not None:
                hits = search(part, living)
                found.append(Hits(ordinals[hits.videos], hits.segments, hits.scores))
        return found[0] if len(found) == 1 else top_k(found, k)


def _living(part: TextPart | None, ordinals: Ordinals) -> Living | None:
    alive = ordinals >= 0
    return None if part is None or alive.all() else Living(alive[part.videos])
