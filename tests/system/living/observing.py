"""What an operator's tools see of a service: scrapes, queries over them, a collector of traces."""

import json
import re
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import promql_parser as promql
import yaml
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

DEPLOY = Path(__file__).parents[3] / "deploy"
# A label's values that a healthy service need not have.
POSSIBLE = {"code": {code.name for code in grpc.StatusCode}}
# The spans of one search: process, name, name of the parent.
TREE = [
    ("spr-coordinator", "Search", "caller"),
    ("spr-coordinator", "encode", "Search"),
    ("spr-ranker", "Encode", "encode"),
    ("spr-coordinator", "retrieve", "Search"),
    *[("spr-coordinator", "shard", "retrieve")] * 2,
    *[("spr-index", "SearchSegments", "shard")] * 2,
    ("spr-coordinator", "propose", "Search"),
    ("spr-coordinator", "rank", "Search"),
    ("spr-ranker", "Rank", "rank"),
]
Exported = Mapping[str, list[Mapping[str, str]]]


class Span(NamedTuple):
    service: str
    name: str
    id: str
    parent: str
    trace: str
    attributes: Mapping[str, Any]


@dataclass
class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """A collector of traces, as OpenTelemetry's own takes them."""

    spans: list[Span] = field(default_factory=list)

    def Export(self, request: Any, context: Any) -> trace_service_pb2.ExportTraceServiceResponse:
        for of_process in request.resource_spans:
            service = attributes(of_process.resource)["service.name"]
            for span in (span for scope in of_process.scope_spans for span in scope.spans):
                ids = (span.span_id.hex(), span.parent_span_id.hex(), span.trace_id.hex())
                self.spans.append(Span(service, span.name, *ids, attributes(span)))
        return trace_service_pb2.ExportTraceServiceResponse()


def attributes(owner: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in owner.attributes}


@contextmanager
def collecting() -> Iterator[tuple[Collector, str]]:
    """Yield a collector and its URL."""
    server, collector = grpc.server(ThreadPoolExecutor(2)), Collector()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield collector, f"http://127.0.0.1:{port}"
    server.stop(None).wait()


def fetch(address: str, path: str) -> str:
    with urllib.request.urlopen(f"http://{address}{path}", timeout=60) as answer:
        return str(answer.read().decode())


def scrape(addresses: list[str]) -> dict[str, list[Mapping[str, str]]]:
    """Return the labels of every sample that processes export, by its name."""
    found: dict[str, list[Mapping[str, str]]] = {}
    for address in addresses:
        for family in text_string_to_metric_families(fetch(address, "/metrics")):
            for sample in family.samples:
                found.setdefault(sample.name, []).append({**sample.labels, "job": "spr", "instance": address})
    return found


def queries() -> dict[str, str]:
    """Return all queries of the dashboard and the alerts, by where they stand."""
    board = json.loads((DEPLOY / "grafana" / "spr.json").read_text())
    found = {
        f"panel {panel['title']!r} {target['refId']}": target["expr"]
        for panel in board["panels"]
        for target in panel.get("targets", [])
    }
    (group,) = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    return found | {f"alert {rule['alert']}": rule["expr"] for rule in group["rules"]}


def faults(query: str, exported: Exported) -> list[str]:
    """Return what a query asks for that nobody exports: names, labels, values."""
    tree = promql.parse(query.replace("$__rate_interval", "1m").replace("$collection", ".*"))
    found, labels = [], {"job", "instance", "le"}
    for selector in selectors(tree):
        if selector.name == "up":
            continue
        rows = exported.get(selector.name)
        if rows is None:
            found.append(f"no metric {selector.name}")
            continue
        labels |= {name for row in rows for name in row}
        for matcher in selector.matchers.matchers:
            values = {row[matcher.name] for row in rows if matcher.name in row}
            values |= POSSIBLE.get(matcher.name, set()) if values else set()
            if not any(matches(matcher, value) for value in values):
                found.append(f"nothing has {matcher.name} {matcher.op} {matcher.value} of {selector.name}")
    lists = re.findall(r"(?:by|on|group_left) \(([^)]*)\)", query)
    grouped = {name for names in lists for name in names.split(", ")}
    return found + [f"no label {name}" for name in sorted(grouped - labels)]


def matches(matcher: Any, value: str) -> bool:
    alike = re.fullmatch(matcher.value, value) if "Re" in str(matcher.op) else matcher.value == value
    return bool(alike) != ("Not" in str(matcher.op))


def selectors(tree: Any) -> Iterator[Any]:
    """Yield the selectors of series of a parsed query."""
    if isinstance(tree, promql.VectorSelector):
        yield tree
    children = [getattr(tree, name, None) for name in ("lhs", "rhs", "expr", "vector_selector", "param")]
    for child in [*children, *(getattr(tree, "args", None) or [])]:
        if child is not None:
            yield from selectors(child)
