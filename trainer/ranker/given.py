"""Training samples that came with the data, in place of those that retrieval finds."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from engine.errors import Mismatch
from engine.types import Doubles, Ordinals
from trainer.collection.annotations import JudgedQuery
from trainer.formats.samples import Proposed, Samples
from trainer.ranker.data import MomentPairs, label
from trainer.ranker.mining import Mined
from workers.ranker.model.windows import WindowConfig
from workers.ranker.stores.features import FeatureMaps


def given(
    samples: Samples,
    pairs: MomentPairs,
    queries: Sequence[JudgedQuery],
    ordinals: Mapping[str, int],
    contexts: FeatureMaps,
    window: WindowConfig,
) -> tuple[Mined, Mined]:
    """Return the proposals of pairs and of queries, as `mine` does; those that show no moment are left out.

    Mismatch names a query without an entry, and a pair whose proposals are of another video.
    """
    right: list[tuple[Ordinals, Doubles]] = []
    for query, pair, video in zip(pairs.query, pairs.pair.tolist(), pairs.video, strict=True):
        judged = queries[query]
        if judged.query_id not in samples.positives:
            raise Mismatch(
                f"The kept training samples lack query {judged.query_id} ({judged.query!r}); "
                "import the data again, or train with --set samples=mined."
            )
        videos, spans = _columns(samples.positives[judged.query_id].get(pair, []), ordinals)
        if (videos != video).any():
            raise Mismatch(
                f"The kept training samples of query {judged.query_id} have proposals for pair {pair} that "
                "are not of its video; import the data again, or train with --set samples=mined."
            )
        right.append((videos, spans))
    wrong = [_columns(samples.negatives.get(query.query_id, []), ordinals) for query in queries]
    mined = Mined.of(right)
    return mined.take(label(mined.owners, mined.spans, pairs, contexts, window)[1].valid), Mined.of(wrong)


def _columns(rows: Iterable[Proposed], ordinals: Mapping[str, int]) -> tuple[Ordinals, Doubles]:
    """Return proposals of videos that have features: ordinals (n,), spans (n, 2) seconds."""
    known = [(ordinals[row.video], row.start, row.end) for row in rows if row.video in ordinals]
    table = np.array(known, np.float64).reshape(-1, 3)
    return table[:, 0].astype(np.int32), table[:, 1:].copy()
