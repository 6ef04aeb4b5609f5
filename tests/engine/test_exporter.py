"""The listener of a process for scrapes, and what it says of the process."""

import asyncio
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.metrics_core import Metric

from engine import exporter, metrics, metrics_page
from engine.errors import Unavailable
from tests.test_docs import ROOT

SERVICE = "a test's"


@pytest.fixture
def address() -> Iterator[str]:
    yield exporter.listen("127.0.0.1:0")
    exporter.close()


def fetch(address: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_health_is_that_of_the_services(address: str) -> None:
    metrics.SERVING.clear()
    assert fetch(address, "/healthz") == (503, "it starts\n")
    serving = metrics.SERVING.labels(SERVICE)
    serving.set(1)
    assert fetch(address, "/healthz") == (200, "serving\n")
    serving.set(0)
    assert fetch(address, "/healthz") == (503, f"not serving: {SERVICE}\n")
    metrics.SERVING.clear()
    metrics.bound.cache_clear()
    assert fetch(address, "/elsewhere") == (404, "/metrics, /healthz or /livez\n")


def test_an_event_loop_that_stands_still_is_told(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "_loop", None)
    assert fetch(address, "/livez") == (200, "alive\n")  # it starts

    async def run() -> None:
        exporter.follow(asyncio.get_running_loop())
        assert await asyncio.to_thread(fetch, address, "/livez") == (200, "alive\n")
        monkeypatch.setattr(exporter, "PATIENCE", 0.05)
        # This call holds the loop.
        assert fetch(address, "/livez") == (503, "the event loop has not run for 0.05 s\n")

    asyncio.run(run())
    assert fetch(address, "/livez") == (200, "alive\n")  # it ends


def test_idle_connections_neither_block_a_scrape_nor_pile_up(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, _, port = address.rpartition(":")
    idle = [socket.create_connection((host, int(port))) for _ in range(exporter.MOST - 1)]
    assert fetch(address, "/metrics")[0] == 200
    idle += [socket.create_connection((host, int(port))) for _ in range(2)]
    # Of those, one has the last place, and the other is closed at once.
    with idle[-1] as last:
        last.settimeout(60)
        assert last.recv(1) == b""
    for one in idle:
        one.close()


def test_a_port_that_is_taken_is_named_and_a_successor_may_share_it(address: str) -> None:
    with pytest.raises(Unavailable, match=f"cannot listen on {address}; is another process there"):
        exporter.listen(address)
    first = exporter._running
    assert exporter.listen(address, takeover=True) == address
    assert first is not None
    first.shutdown()
    first.server_close()
    assert fetch(address, "/metrics")[0] == 200


def test_what_cannot_be_read_costs_the_other_metrics_nothing(address: str) -> None:
    def broken() -> Iterator[Metric]:
        yield metrics.VIDEOS.samples([(("half",), 1.0)])
        raise RuntimeError("dictionary changed size during iteration")

    states = [metrics.State(broken), metrics.State(lambda: [metrics.VIDEOS.samples([(("whole",), 2.0)])])]
    for state in states:
        state.begin()
    try:
        text = fetch(address, "/metrics")[1]
    finally:
        for state in states:
            state.end()
    assert 'spr_videos{collection="whole"} 2.0' in text
    assert "half" not in text


def test_the_page_lists_what_there_is() -> None:
    # python -m engine.metrics_page > docs/metrics.md
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == metrics_page.page()


def test_names_follow_the_conventions_and_labels_have_few_values() -> None:
    for about in metrics.ALL:
        assert about.name.startswith("spr_")
        assert (about.kind == "counter") == about.name.endswith("_total"), about.name
        assert not {"request_id", "caller", "text", "trace_id"} & set(about.labels)
