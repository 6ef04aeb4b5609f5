"""The ranker workers as the coordinator sees them: rank proposals, order moments."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import grpc.aio
import numpy as np
from numpy.typing import NDArray

from engine import by_shard, calls, faults, logs, wire, wire_explain, wire_rank
from engine.by_shard import Group
from engine.config import CoordinatorConfig
from engine.corpus import Corpus
from engine.deadline import Deadline
from engine.encoders import Encoders, check_version
from engine.errors import InvalidInput, Mismatch, Overloaded, SprError
from engine.explanations import Compared
from engine.fleet import Fleet, RankerStubs
from engine.hedging import Hedging
from engine.types import Doubles, EncodedQuery, Floats, Moments, Proposals, Ranked, RankQuery
from spr.internal.v1.ranker_service_pb2 import CompareRequest, RankResponse

Answer = TypeVar("Answer")
_log = logging.getLogger("spr.ranking")
SLOWEST_RANKING = 1.0  # seconds after which a second worker is asked at the latest


class Rankers(Encoders):
    """The ranker workers, asked about one version. encoding, ranking: hedging of the collection's calls."""

    def __init__(
        self, corpus: Corpus, fleet: Fleet, config: CoordinatorConfig, encoding: Hedging, ranking: Hedging
    ) -> None:
        super().__init__(corpus, fleet, config, encoding)
        self._ranking = ranking
        self._comparing, self._settling = Hedging(), Hedging()
        self._fault = logs.Fault(_log, "ranking")

    async def rank(
        self, query: EncodedQuery, proposals: Proposals, deadline: Deadline, searched: int | None = None
    ) -> Ranked | None:
        """Return the ranker's answer for all proposals, None when none answers in time.

        searched: the videos that were searched for them, None for all. Overloaded when every worker refuses
        it for now.
        """
        asked = RankQuery.of(query, proposals, searched)
        groups = by_shard.groups(self._workers, self._corpus, proposals.videos)
        try:
            if len(groups) > 1:
                ranked = await self._in_parts(asked, groups, deadline)
            else:
                shards = groups[0].shards if groups else frozenset[str]()
                ranked = await self._ask(asked, deadline, _ranked_of, self._ranking, shards)
        except (grpc.aio.AioRpcError, SprError) as failure:
            error = self._note(failure)
            if isinstance(error, Overloaded):
                raise error from None
            return None
        if ranked.seen is None:
            self._fault.over()
        return ranked

    async def _in_parts(self, asked: RankQuery, groups: Sequence[Group], deadline: Deadline) -> Ranked:
        """Ask each group's worker what is in its proposals, and one what comes of all that was found.

        What a group's workers do not answer in time is not seen; raises the failure where none answers, and
        Overloaded where one refuses.
        """
        # As of index workers: a stuck one leaves time for what is made of the others' answers.
        patience = min(self._config.shard_timeout, deadline.left() / 2)
        until = replace(deadline, at=time.monotonic() + patience, reserve=0.0)

        async def ask(group: Group) -> Doubles:
            part = replace(asked.some(group.rows), part=True)
            return await self._ask(part, until, _found_of, self._ranking, group.shards)

        answers = await asyncio.gather(*(ask(group) for group in groups), return_exceptions=True)
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        for failure in failures:
            if not isinstance(failure, grpc.aio.AioRpcError | SprError) or len(failures) == len(groups):
                raise failure
            if isinstance(self._note(failure), Overloaded):
                raise failure
        pairs = [
            (group.rows, answer)
            for group, answer in zip(groups, answers, strict=True)
            if not isinstance(answer, BaseException)
        ]
        every = np.sort(np.concatenate([rows for rows, _ in pairs]))
        settling = replace(asked.some(every), found=by_shard.together(pairs))
        ranked = await self._ask(settling, deadline, _ranked_of, self._settling)
        return ranked if len(every) == len(asked) else by_shard.spread(ranked, every, asked)

    async def _ask(
        self,
        asked: RankQuery,
        deadline: Deadline,
        read: Callable[[RankResponse, int], Answer],
        hedging: Hedging,
        shards: frozenset[str] = frozenset(),
    ) -> Answer:
        """Return what `read` makes of a ranker's answer; shards: whose contexts it needs."""
        request = wire_rank.query_to_pb(asked)
        request.request_id = logs.request_id.get()
        request.generation = self._version.id
        request.embedding_model = self._version.embedding_model

        async def attempt(stubs: RankerStubs) -> Answer:
            response = await stubs.rank(request, deadline.left())
            check_version(response.generation, self._version.id, "ranker")
            return read(response, len(asked))

        # Ranking is the costly stage: until it is known how long it takes, a second worker is asked late.
        longest = min(SLOWEST_RANKING, deadline.left() / 2) if self._config.hedge_after else 0.0
        return await self._workers.call(attempt, hedging, longest, self._version.id, shards)

    def _note(self, failure: grpc.aio.AioRpcError | SprError) -> SprError:
        """Log why a ranker did not answer; return it as a caller may see it."""
        error = failure if isinstance(failure, SprError) else faults.error_of(failure, "ranker")
        told = failure if isinstance(failure, SprError) else faults.told_by(failure)
        self._fault.happened(told, error.reason)
        return error

    async def compare(self, query: EncodedQuery, video: int, deadline: Deadline) -> Compared | None:
        """Return how similar a query is to every second of a video, None when no worker says so in time."""
        request = CompareRequest(
            request_id=logs.request_id.get(),
            generation=self._version.id,
            embedding_model=self._version.embedding_model,
            text_embedding=wire.tensor_to_pb(query.text_embedding),
            video_ordinal=video,
        )

        async def attempt(stubs: RankerStubs) -> Compared:
            response = await calls.answer(stubs.ranker.Compare(request, timeout=deadline.left()))
            check_version(response.generation, self._version.id, "ranker")
            return wire_explain.compared_from_pb(response)

        try:
            shards = by_shard.names(self._corpus, np.array([video])) if self._workers.split else frozenset()
            return await self._workers.call(attempt, self._comparing, 0.0, self._version.id, shards)
        except (grpc.aio.AioRpcError, SprError) as failure:
            told = failure if isinstance(failure, SprError) else faults.told_by(failure)
            _log.warning("no ranker compares a query with a video: %s", told)
            return None


def _ranked_of(response: RankResponse, proposals: int) -> Ranked:
    return wire_rank.ranked_from_pb(response, proposals)


def _found_of(response: RankResponse, proposals: int) -> Doubles:
    try:
        return wire_rank.found_from_pb(response.found, proposals)
    except InvalidInput as error:
        raise Mismatch(f"the ranker answered what cannot be used: {error}") from None


def coarse(proposals: Proposals) -> Moments:
    """Return the proposals as they are, in their order, as unrefined moments."""
    n = len(proposals)
    return Moments(
        videos=proposals.videos,
        spans=proposals.spans,
        scores=proposals.scores.astype(np.float64),
        relevances=np.zeros(n, np.float32),
        proposals=np.arange(n, dtype=np.int32),
        refined=np.zeros(n, dtype=bool),
    )


def ordered(proposals: Proposals, ranked: Ranked) -> Moments:
    """Return the moments, best first: what was ranked by the ranker's score, then the rest in coarse order.

    The ranked proposals are the first rows; of those, what was not seen is of the rest. A row that was ranked
    but not refined keeps its own span and the ranker's score. Equal scores stay in coarse order.
    """
    moments = coarse(proposals)
    n, scores = len(ranked), ranked.scores
    keys = -scores
    if ranked.seen is not None:
        keys, scores = np.where(ranked.seen, keys, np.inf), np.where(ranked.seen, scores, moments.scores[:n])
    order = np.argsort(keys, kind="stable")
    if n == len(proposals):
        # As a rule: nothing is left of the coarse order.
        return Moments(
            videos=moments.videos[order],
            spans=ranked.spans[order],
            scores=scores[order],
            relevances=ranked.relevances[order],
            proposals=moments.proposals[order],
            refined=ranked.refined[order],
            confidences=_confidences(ranked, n, order),
            best=ranked.shown[order],
            confidence_threshold=ranked.confidence_threshold,
        )
    order = np.concatenate([order, np.arange(n, len(proposals))])
    return Moments(
        videos=moments.videos[order],
        spans=np.concatenate([ranked.spans, moments.spans[n:]])[order],
        scores=np.concatenate([scores, moments.scores[n:]])[order],
        relevances=np.concatenate([ranked.relevances, moments.relevances[n:]])[order],
        proposals=moments.proposals[order],
        refined=np.concatenate([ranked.refined, moments.refined[n:]])[order],
        confidences=_confidences(ranked, len(proposals), order),
        best=np.concatenate([ranked.shown, np.full(len(proposals) - n, np.nan)])[order],
        confidence_threshold=ranked.confidence_threshold,
    )


def _confidences(ranked: Ranked, n: int, order: NDArray[np.intp]) -> Floats | None:
    if ranked.confidences is None:
        return None
    unseen = np.full(n - len(ranked), np.nan, np.float32)
    return np.concatenate([ranked.confidences, unseen])[order]


def take(proposals: Proposals, n: int | None) -> Proposals:
    """Return the first `n` proposals; all when None."""
    return proposals.of(slice(n))
