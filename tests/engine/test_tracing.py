"""Which calls are traced, by whose decision, and what their spans have."""

import asyncio
import contextlib
import importlib
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from engine import logs, tracing, tracing_export
from engine.errors import InvalidInput, Mismatch
from engine.process_config import TracingConfig
from tests.engine.running import written

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
METHOD = "/spr.v1.SearchService/Search"


class Call:
    """A call's context, as far as its metadata."""

    def __init__(self, *parents: str) -> None:
        self._metadata = tuple((tracing.TRACEPARENT, parent) for parent in parents)

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return self._metadata


@contextlib.contextmanager
def recording(role: str, sample: float) -> Iterator[InMemorySpanExporter]:
    """Record spans in memory."""
    config = TracingConfig(endpoint="http://127.0.0.1:9", sample=sample)
    tracing.configure(config, role, "a test", "topology.toml")
    assert tracing._recorder is not None
    memory = InMemorySpanExporter()
    provider = tracing._recorder._provider
    provider._active_span_processor._span_processors = (SimpleSpanProcessor(memory),)
    try:
        yield memory
    finally:
        tracing.close()


def serve(call: Call) -> str:
    """Serve a call with a stage; return what the stage would send to a worker."""
    with tracing.call(METHOD, call), tracing.span("stage", shard="shard-00000"):
        tracing.note(hits=3)
        return dict(tracing.outgoing() or ()).get(tracing.TRACEPARENT, "")


def test_without_tracing_the_callers_context_is_passed_on_and_in_the_log() -> None:
    with tracing.call(METHOD, Call(f"00-{TRACE}-{SPAN}-01")):
        assert logs.trace_id.get() == TRACE
        assert tracing.outgoing() == ((tracing.TRACEPARENT, f"00-{TRACE}-{SPAN}-01"),)
    assert logs.trace_id.get() == ""
    assert tracing.outgoing() is None


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "00",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01",
        TRACE.upper(),
    ],
)
def test_a_malformed_traceparent_is_none(parent: str) -> None:
    assert serve(Call(parent)) == ""


@pytest.mark.parametrize(
    ("role", "sample", "parents", "recorded"),
    [
        ("coordinator", 1.0, (), True),
        ("coordinator", 0.0, (), False),
        ("coordinator", 0.0, (f"00-{TRACE}-{SPAN}-01",), True),
        ("coordinator", 1.0, (f"00-{TRACE}-{SPAN}-00",), False),
        ("index", 1.0, (), False),
        ("index", 0.0, (f"00-{TRACE}-{SPAN}-01",), True),
    ],
)
def test_the_caller_decides_and_then_the_coordinator(
    role: str, sample: float, parents: tuple[str, ...], recorded: bool
) -> None:
    with recording(role, sample) as memory:
        sent = serve(Call(*parents))
        spans = memory.get_finished_spans()
    assert [span.name for span in spans] == (["stage", METHOD[1:]] if recorded else [])
    assert bool(sent) == (recorded or bool(parents))
    if recorded:
        assert dict(spans[0].attributes or {}) == {"spr.shard": "shard-00000", "spr.hits": 3}
        assert sent.endswith("-01")
    elif parents:
        assert sent == parents[0]


def test_a_failure_is_named_by_its_reason_not_its_words() -> None:
    with recording("coordinator", 1.0) as memory:
        for error in (Mismatch("the query 'a red ball' is wrong", "WRONG"), asyncio.CancelledError()):
            with contextlib.suppress(Mismatch, asyncio.CancelledError), tracing.call(METHOD, Call()):
                raise error
        spans = memory.get_finished_spans()
    assert [span.status.description for span in spans] == ["WRONG", "CANCELLED"]
    assert not any("red ball" in span.to_json() for span in spans)


def test_a_collector_that_is_away_is_told_of_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracing_export, "PATIENCE", 0.1)
    config = TracingConfig(endpoint="http://127.0.0.1:9", sample=1.0)
    with written("spr.tracing") as lines:
        tracing.configure(config, "coordinator", "a test", "topology.toml")
        for _ in range(2):
            assert serve(Call())
            tracing._recorder._batches.force_flush()  # type: ignore[union-attr]
        began = time.monotonic()
        tracing.close()
    assert time.monotonic() - began < 60
    line = lines.get(timeout=60)
    assert line["message"].startswith("the collector of traces is lost: 127.0.0.1:9 takes no spans")
    assert lines.empty()


def test_what_lacks_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "engine.tracing_export", raising=False)
    monkeypatch.setattr(importlib.import_module("engine"), "tracing_export", None, raising=False)
    for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.setitem(sys.modules, name, None)
    config: Any = TracingConfig(endpoint="http://127.0.0.1:4317")
    with pytest.raises(InvalidInput, match=r'topology.toml needs .*: pip install "spr-engine\[traces\]"'):
        tracing.configure(config, "index", "a test", "topology.toml")
