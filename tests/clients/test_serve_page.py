from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from engine import config
from engine.config import Topology
from spr_cli.main import cli

TOPOLOGY = """
collection = "c"
[[index]]
shard = 0
listen = "127.0.0.1:7410"
[[ranker]]
listen = "127.0.0.1:7420"
[page]
listen = "127.0.0.1:7480"
"""


@pytest.mark.parametrize(
    ("words", "listen"),
    [(["--page", "127.0.0.1:8000"], "127.0.0.1:8000"), (["--no-page"], ""), ([], "127.0.0.1:7480")],
)
def test_what_is_said_of_the_page_holds_for_a_topology_that_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], listen: str
) -> None:
    pages = list[str]()

    def supervise(topology: Topology, as_asked: Callable[[Topology], Topology], *_: object) -> None:
        pages.extend(one.page.listen if one.page else "" for one in (topology, as_asked(config.read(file))))

    monkeypatch.setattr("spr_cli.serve.supervise", supervise)
    file = tmp_path / "topology.toml"
    file.write_text(TOPOLOGY, encoding="utf-8")
    done = CliRunner().invoke(cli, ["serve", str(file), *words])
    assert done.exit_code == 0, done.output
    assert pages == [listen, listen]
