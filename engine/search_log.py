"""What a search leaves behind: its line in the log, its metrics, the attributes of its span."""

import contextvars
import logging
from functools import partial
from typing import Any

from engine import metrics, tracing
from engine.answers import Answer
from engine.errors import SprError
from engine.interceptors import when_over
from engine.served import Served, ServedCollection

_log = logging.getLogger("spr.search")


class SearchLog:
    """Logs and counts searches.

    slow: seconds from which one is a warning, 0: none is. texts: whether that has the sentence.
    """

    def __init__(self, slow: float, texts: bool) -> None:
        self._slow, self._texts = slow, texts

    def answered(
        self, answer: Answer, collection: ServedCollection, served: Served, text: str, context: Any
    ) -> None:
        """Note an answer; its line and its metrics follow when it has been sent."""
        collection.statistics.count(answer)
        version = served.corpus.id
        tracing.note(
            collection=collection.name,
            version=version,
            moments=len(answer.moments),
            coverage=answer.coverage.ratio,
            degraded=",".join(reason.name for reason in answer.coverage.degraded),
        )
        if tracing.query_text:
            tracing.note(query=text)
        write = partial(self._write, answer, collection.name, version, text)
        when_over(context, partial(contextvars.copy_context().run, write))

    def failed(self, error: Exception, collection: ServedCollection, text: str, seconds: float) -> None:
        """Note a search that failed after so many seconds; its refusal has a line of its own."""
        if not 0 < self._slow <= seconds:
            return
        metrics.bound(metrics.SLOW, collection.name).inc()
        reason = error.reason if isinstance(error, SprError) else "INTERNAL"
        about = self._about(collection.name, collection.active_id, seconds, text)
        _log.warning("slow search failed", extra={**about, "reason": reason})

    def _write(self, answer: Answer, collection: str, version: str, text: str) -> None:
        """Count an answer, and write its line in the log."""
        coverage, stages, seconds = answer.coverage, {}, 0.0
        for stage, took in answer.timings:
            stages[stage] = round(1000 * took, 2)
            if stage in metrics.STAGES:
                metrics.bound(metrics.STAGE_SECONDS, collection, stage).observe(took)
                seconds += took
            else:
                metrics.bound(metrics.SHARD_SECONDS, collection, stage).observe(took)
        for reason in coverage.degraded:
            metrics.bound(metrics.DEGRADED, collection, reason.name).inc()
        slow = 0 < self._slow <= seconds
        if not slow and not _log.isEnabledFor(logging.INFO):
            return
        fields = {
            "ms": stages,
            "moments": len(answer.moments),
            "coverage": round(coverage.ratio, 4),
            "degraded": [reason.name for reason in coverage.degraded],
        }
        if answer.evidence is not None:
            fields["found"] = {".".join(name): len(hits) for name, hits in answer.evidence.lists}
        if not slow:
            _log.info("answered", extra=fields)
            return
        metrics.bound(metrics.SLOW, collection).inc()
        fields |= self._about(collection, version, seconds, text)
        _log.warning("slow search", extra={**fields, "proposals": len(answer.proposals)})

    def _about(self, collection: str, version: str, seconds: float, text: str) -> dict[str, Any]:
        """Return what the line of a slow search has; the sentence only with the setting `log_queries`."""
        about = {"collection": collection, "version": version, "seconds": round(seconds, 3)}
        return about | ({"query": text} if self._texts else {})
