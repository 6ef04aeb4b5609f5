"""A service over a collection in a store, which goes away and comes back."""

import os
import re
import signal
import time
from pathlib import Path

import spr_client
from spr_client import Client, SearchResult
from tests.stores.server import Store
from tests.system import world
from tests.system.service import Service, running, until, write_topology
from tests.workers.ranker.factories import TEXTS
from trainer.library.deleting import delete
from trainer.library.snapshot import snapshot


def endure(store: Store, url: str, home: Path, seconds: float) -> None:
    """Serve from `url`, also for `seconds` without the store, and then what was made meanwhile."""
    collection = world.collection(home / "made", shards=1)
    snapshot(collection, url)
    topology = write_topology(home / "topology.toml", Path("store"), shards=1)
    text = topology.read_text().replace('"store"', f'"{url}"', 1).replace("warning", "info")
    topology.write_text(f'cache = "{home / "cache"}"\n{text}')
    with running(home / "log.jsonl", str(topology)) as service, Client(service.address, retries=0) as client:
        expected = world.Oracle(collection).search(TEXTS[0])
        first = client.search(TEXTS[0], page_size=100)
        assert [one.video for one in first.moments] == [f"video-{video}" for video in expected.videos]
        with store.away():
            change = delete(collection, [first.moments[0].video])
            os.kill(service.pid_now("shard-00000"), signal.SIGKILL)
            until(lambda: len(re.findall("shard-00000@[^ ]* is ready", service.log.read_text())) == 2)
            _nothing_is_noticed(service, client, first, seconds)
        snapshot(collection, url)
        newer = until(lambda: _whole(client, change.version))
        assert first.moments[0].video not in {one.video for one in newer.moments}
    assert "hush" not in service.log.read_text()


def _nothing_is_noticed(service: Service, client: Client, first: SearchResult, seconds: float) -> None:
    """Ask until the worker that was killed is back, from what is here, and `seconds` have passed."""
    until(lambda: "cannot be reached" in service.log.read_text())
    version, began = first.generation, time.monotonic()
    until(lambda: _whole(client, version))
    while True:
        again = client.search(TEXTS[0], page_size=100)
        assert not again.coverage.degraded
        assert again.moments == first.moments
        if time.monotonic() - began >= seconds:
            return
        time.sleep(min(seconds, 0.5))


def _whole(client: Client, version: str) -> SearchResult | None:
    try:
        result = client.search(TEXTS[0], page_size=100)
    except spr_client.Unavailable:
        return None
    return None if result.coverage.degraded or result.generation != version else result
