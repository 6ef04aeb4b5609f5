"""The figure by which a version of a collection is let pass: one measure, of a service's answers."""

from collections.abc import Sequence

from engine.errors import Unavailable
from trainer.collection.annotations import JudgedQuery
from trainer.evaluation.judged import truths
from trainer.evaluation.measures import NDCG
from trainer.evaluation.runfile import COARSE, REFINED, rankings
from trainer.evaluation.service import collect

MEASURE = NDCG(10, 0.5)


def measure(address: str, queries: Sequence[JudgedQuery], collection: str, version: str) -> float:
    """Return MEASURE of a prepared version's answers to judged queries.

    Unavailable where a query fails or an answer is degraded: the figures of two versions would not compare.
    """
    collected = collect(address, queries, collection=collection, version=version)
    degraded = sum(answer.degraded for answer in collected.answers.values())
    if collected.failures or degraded:
        why = next(iter(collected.failures.values()), "look at `spr admin status`")
        raise Unavailable(
            f"version {version} cannot be measured: {len(collected.failures)} queries failed and {degraded} "
            f"answers were degraded ({why})",
            "NOT_MEASURED",
        )
    run = collected.run
    return MEASURE.over(rankings(run.get(REFINED, run[COARSE])), truths(queries))
