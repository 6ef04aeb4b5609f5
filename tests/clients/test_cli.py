"""`spr search` and `spr admin` against a coordinator process over brute-force workers."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from spr_cli import admin, eval_measure, search, serve, serve_topology
from spr_client import Coverage, Moment, SearchResult
from tests.engine.asking import TEXT
from tests.engine.corpus import RANKER, Corpus
from tests.engine.oracle import cluster
from tests.engine.running import process

Service = tuple[str, str]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with cluster(folder) as workers:
        workers.kill(workers.topology.index[1].target)
        with process(workers, folder) as ready:
            yield ready["address"], ready["admin"]


def ask(service: Service, *options: str) -> Result:
    return CliRunner().invoke(search.command, [TEXT, "--address", service[0], *options])


def test_a_search_is_a_table_and_says_what_is_missing(service: Service) -> None:
    result = ask(service, "--top", "3", "--timings")
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0].split() == ["rank", "video", "start", "end", "score"]
    assert re.fullmatch(
        r" *1 +video-\d+ +\d+:\d\d(\.\d)? +\d+:\d\d(\.\d)? +-?\d\.\d{3} +refined", lines[1].rstrip()
    )
    assert f"ranked by {RANKER}, 6 of 12 videos searched" in lines[4]
    assert lines[5] == "degraded: SHARD_UNAVAILABLE (shard-00001)"
    assert re.match(r"encode \d+\.\d ms, retrieve ", lines[6])


def test_json_is_one_object(service: Service) -> None:
    answer = json.loads(ask(service, "--json", "--top", "2", "--no-rerank").stdout)
    assert [moment["rank"] for moment in answer["moments"]] == [1, 2]
    assert answer["coverage"]["unreachable"] == ["shard-00001"]
    assert answer["refined"] is False


def test_progressive_prints_both_lists(service: Service) -> None:
    first, second = map(json.loads, ask(service, "--progressive", "--json").stdout.splitlines())
    assert (first["refined"], second["refined"]) == (False, True)


def test_a_refused_search_has_its_own_exit_code(service: Service) -> None:
    result = ask(service, "--min-coverage", "0.9")
    assert result.exit_code == 4
    assert "only 50.0% of the videos" in result.stderr
    result = ask(service, "--collection", "other", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["reason"] == "COLLECTION_NOT_FOUND"


def test_two_rules_are_refused_and_one_is_used(service: Service) -> None:
    refused = ask(service, "--adjacent", "--constant-gap", "1")
    assert refused.exit_code == 2
    assert "--adjacent and --constant-gap are two rules" in refused.stderr
    runs, peaks = (ask(service, *rule, "--json") for rule in (["--adjacent"], ["--peaks", "1"]))
    assert json.loads(runs.stdout)["moments"] != json.loads(peaks.stdout)["moments"]


def test_an_absent_service_is_said_with_the_remedy() -> None:
    result = CliRunner().invoke(search.command, [TEXT, "--address", "127.0.0.1:1"])
    assert result.exit_code == 4
    assert "Start a service with `spr serve" in result.stderr


@pytest.mark.parametrize("address", ["", "127.0.0.1", "127.0.0.1:99999", ":7400", "host:0", "host:7400x"])
def test_an_address_without_a_port_is_refused_in_one_sentence(address: str) -> None:
    measured = (eval_measure.command, ["--truth", "test.json"])
    for asked, arguments in ((search.command, [TEXT]), (admin.command, ["status"]), measured):
        result = CliRunner().invoke(asked, [*arguments, "--address", address])
        assert result.exit_code == 2
        assert f"{address!r} is no address; write HOST:PORT" in result.stderr


@pytest.mark.parametrize("timeout", ["0", "-1", "nan", "soon"])
def test_a_time_limit_that_is_none_is_refused_by_its_option(service: Service, timeout: str) -> None:
    for asked in (ask(service, "--timeout", timeout), status_of(service, "--timeout", timeout)):
        assert asked.exit_code == 2
        assert "'--timeout'" in asked.stderr
        assert "write " in asked.stderr


@pytest.mark.parametrize("timeout", ["inf", "1e10"])
def test_a_time_limit_may_be_endless(service: Service, timeout: str) -> None:
    assert ask(service, "--timeout", timeout).exit_code == 0
    assert "serving" in status_of(service, "--timeout", timeout).stdout


def test_a_text_that_is_no_utf8_is_refused(service: Service) -> None:
    result = CliRunner().invoke(search.command, ["red\udcff", "--address", service[0]])
    assert result.exit_code == 2
    assert "is not UTF-8 from character 4 on" in result.stderr


def test_the_wrong_port_is_told_with_the_right_one(service: Service) -> None:
    asked = CliRunner().invoke(search.command, [TEXT, "--address", service[1]])
    assert "it is the coordinator's admin port; searches have a port of their own" in asked.stderr
    asked = CliRunner().invoke(admin.command, ["status", "--address", service[0]])
    assert asked.exit_code == 4
    assert "its admin service has a port of its own, 7401 by default" in asked.stderr


def status_of(service: Service, *options: str) -> Result:
    return CliRunner().invoke(admin.command, ["status", "--address", service[1], *options])


def test_status_shows_every_worker(service: Service) -> None:
    result = CliRunner().invoke(admin.command, ["status", "--address", service[1]])
    assert result.exit_code == 1
    rows = {line.split()[0]: line for line in result.stdout.splitlines() if line.strip()}
    assert "serving" in rows["shard-00000"]
    assert "unreachable" in rows["shard-00001"]
    assert "serving" in rows["ranker-0"]
    # Not on a terminal nothing is cut or folded; reasons are on lines of their own.
    assert all(len(rows[name]) <= 110 for name in ("shard-00000", "shard-00001", "ranker-0"))
    lines = result.stdout.splitlines()
    address = re.search(r"127\.0\.0\.1:\d+", rows["shard-00001"])
    assert address is not None
    assert lines[lines.index(rows["shard-00001"]) + 1].startswith("    failed to connect")
    answer = json.loads(
        CliRunner().invoke(admin.command, ["status", "--json", "--address", service[1]]).stdout
    )
    assert len(answer["collection"]["generation"]) == 21
    assert [worker["state"] for worker in answer["workers"]] == [
        "STATE_SERVING", "STATE_UNREACHABLE", "STATE_SERVING",
    ]  # fmt: skip


def test_serve_takes_a_topology_or_a_collection_but_not_none(tmp_path: Path) -> None:
    result = CliRunner().invoke(serve.command, ["--json"])
    assert result.exit_code == 2
    assert "name a topology file, or a collection" in result.stderr
    both = CliRunner().invoke(serve.command, ["--collection", str(tmp_path), __file__])
    assert "name a topology file or a --collection, not both" in both.stderr


def test_several_collections_are_served_by_as_many_workers_as_the_largest_needs(tmp_path: Path) -> None:
    first = Corpus(shards=1).write(tmp_path / "first")
    second = Corpus(shards=3, name="second").write(tmp_path / "second")
    (tmp_path / "empty").mkdir()
    topology = serve_topology.read_topology(None, (first, second, tmp_path / "empty"), 7500)
    assert topology.directories == (first, second, tmp_path / "empty")
    assert len(topology.index) == 3


def test_a_wait_without_end_is_a_wait(service: Service) -> None:
    asked = CliRunner().invoke(
        admin.command, ["status", "--address", service[1], "--timeout", "inf", "--json"]
    )
    assert json.loads(asked.stdout)["collection"]["videos"] > 0


def result(confidence: float, threshold: float | None) -> SearchResult:
    names = ["close[/red].mp4", "two\nlines\x1b[31m", "folder/" * 20 + "film.mp4"]
    moments = tuple(
        Moment(name, 1.0, 2.0, rank, 1.5, True, 0.5, 0.0, 3.0, rank, confidence=confidence / rank)
        for rank, name in enumerate(names, 1)
    )
    whole = Coverage(1, 1, 3, 3, 1.0)
    versions = ("default", "g1", "e/mean-pool", "relo@0")
    return SearchResult(moments, 3, "", "id", whole, *versions, {}, True, threshold is not None, threshold)


def test_names_are_whole_and_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    search._print_table(result(0.9, None), timings=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[1:4]] == [
        "close[/red].mp4", r"two\nlines\x1b[31m", "folder/" * 20 + "film.mp4",
    ]  # fmt: skip
    assert lines[0].split() == ["rank", "video", "start", "end", "score", "sure"]
    assert lines[4].startswith("3 of 3 moments")


def test_no_confident_match_says_what_would_be(capsys: pytest.CaptureFixture[str]) -> None:
    search._print_table(result(0.784, 0.85), timings=False)
    said = "no confident match: at best 78.4% sure, and 85.0% is needed; these are the nearest:"
    assert capsys.readouterr().out.splitlines()[0] == said


def test_help_shows_the_options_that_need_no_command() -> None:
    shown = CliRunner().invoke(serve.command, ["--help"]).stdout
    for option in ("--collection", "--port", "--log-level", "--ready-file", "--json", "coordinator"):
        assert option in shown
