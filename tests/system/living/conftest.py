from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.living.living import Living
from tests.system.living.observing import collecting
from tests.system.service import running, write_topology
from tests.trainer.library.running import world


@pytest.fixture(scope="package")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    """Serve two collections of clips, with a library, which watches a folder for the first one."""
    home = tmp_path_factory.mktemp("living")
    news, lectures = (world(home / f"of-{name}", name) for name in ("news", "lectures"))
    (inbox := home / "inbox").mkdir()
    about = {"watch": [str(inbox)], "threads": 1}
    with collecting() as (traces, address):
        path = home / "topology.toml"
        write_topology(path, news, collections=[lectures], library=about, traces=address, slow_query=1e-9)
        with running(home / "log.jsonl", str(path)) as service:
            yield Living(home, service, {"news": news, "lectures": lectures}, path, traces)


@pytest.fixture
def news(living: Living) -> Path:
    return living.collections["news"]


@pytest.fixture
def lectures(living: Living) -> Path:
    return living.collections["lectures"]
