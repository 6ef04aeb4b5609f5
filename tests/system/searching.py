"""Clients that search all the time, while something else happens."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from spr_client import Client, SearchError, SearchResult
from tests.workers.ranker.factories import TEXTS


def whole(client: Client) -> SearchResult | None:
    try:
        result = client.search(TEXTS[0])
    except SearchError:
        return None
    return None if result.coverage.degraded else result


@contextmanager
def searching(
    address: str, callers: int = 2, collection: str = ""
) -> Iterator[list[SearchResult | SearchError]]:
    """Search from several clients until the block ends; yield what they were told."""
    told: list[SearchResult | SearchError] = []
    over = threading.Event()

    def ask() -> None:
        with Client(address, collection=collection, retries=0) as client:
            # A little apart: the processes under test have the cores to share.
            while not over.wait(0.05):
                try:
                    told.append(client.search(TEXTS[0]))
                except SearchError as error:
                    told.append(error)

    threads = [threading.Thread(target=ask) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield told
    finally:
        over.set()
        for thread in threads:
            thread.join()
