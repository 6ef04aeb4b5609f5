"""Spans by OpenTelemetry's SDK, sent to a collector over OTLP/gRPC; imported only if [tracing] is there."""

import logging
import random
import threading
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from engine import logs
from engine.process_config import TracingConfig
from engine.tracing import Attributes, Trace

QUEUED = 2048  # spans that wait to be sent; further ones are dropped
EVERY = 1.0  # seconds between sendings
PATIENCE = 5.0  # seconds for the collector to take them
LAST = 1.0  # seconds for the last ones, at the end of the process


class _Exporter(OTLPSpanExporter):
    """Logs when the collector is lost, and when it is back."""

    _fault = logs.Fault(logging.getLogger("spr.tracing"), "the collector of traces")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; those that cannot be sent are dropped."""
        result = super().export(spans)
        if result is SpanExportResult.SUCCESS:
            self._fault.over()
        else:
            self._fault.happened(f"{self._endpoint} takes no spans", "NOT_SENT")
        return result


class Recorder:
    """Records the spans of a process. role: the coordinator decides what is sampled, workers follow."""

    def __init__(self, config: TracingConfig, role: str, name: str) -> None:
        # It tells of each batch that is lost; `_Exporter` tells of the first.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        # Drawn here: a span that the SDK's sampler declines costs as much as ten spans that are not begun.
        self._share = config.sample if role == "coordinator" else 0.0
        about = {
            "service.name": f"spr-{role}",
            "service.instance.id": name,
            "service.version": version("spr-engine"),
        }
        self._provider = TracerProvider(sampler=ALWAYS_ON, resource=Resource(about), shutdown_on_exit=False)
        exporter = _Exporter(
            config.endpoint, insecure=config.endpoint.startswith("http://"), timeout=PATIENCE
        )
        self._batches = BatchSpanProcessor(
            exporter, max_queue_size=QUEUED, schedule_delay_millis=1000 * EVERY, max_export_batch_size=512
        )
        self._provider.add_span_processor(self._batches)
        self._tracer = self._provider.get_tracer("spr")

    def serve(self, method: str, parent: Trace | None) -> Trace | None:
        """Begin the span of a call; the parent as it is where that is not sampled."""
        if parent is None and random.random() >= self._share:
            return None
        if parent is not None and not parent.sampled:
            return parent
        above = trace.INVALID_SPAN if parent is None else _remote(parent)
        service, _, name = method[1:].rpartition("/")
        about = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}
        context = trace.set_span_in_context(above)
        return _trace(self._tracer.start_span(method[1:], context, SpanKind.SERVER, about))

    def stage(self, name: str, parent: Trace, attributes: Mapping[str, Attributes]) -> Trace:
        """Begin the span of a stage."""
        assert parent.recorded is not None
        above = trace.set_span_in_context(parent.recorded)
        named = {f"spr.{key}": value for key, value in attributes.items()}
        return _trace(self._tracer.start_span(name, above, attributes=named))

    def end(self, span: Span, failure: str | None) -> None:
        """End a span. failure: in a word, None where there is none."""
        if failure is not None:
            span.set_status(Status(StatusCode.ERROR, failure))
        span.end()

    def close(self) -> None:
        """Send what waits, for a second at most, and nothing after it."""
        # Its own limit is the exporter's, and a collector that is away would use it up.
        ending = threading.Thread(target=self._batches.shutdown, daemon=True)
        ending.start()
        ending.join(LAST)


def _remote(parent: Trace) -> Span:
    flags = TraceFlags(TraceFlags.SAMPLED)
    there = SpanContext(int(parent.id, 16), int(parent.span, 16), is_remote=True, trace_flags=flags)
    return trace.NonRecordingSpan(there)


def _trace(span: Span) -> Trace:
    about = span.get_span_context()
    return Trace(trace.format_trace_id(about.trace_id), trace.format_span_id(about.span_id), True, span)
