"""Filters and lists of videos in the Python client and the commands, against a coordinator process."""

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from engine.facts import Facts
from spr_cli import search, videos
from spr_client import AsyncClient, Client, Composed, Filter, InvalidInput, Options, Part, SearchResult, Video
from tests.engine.asking import TEXT
from tests.engine.corpus import Corpus
from tests.engine.oracle import Cluster, cluster
from tests.engine.running import process

DAY = 86_400.0
LABELS = [("news", "rome"), ("news",), ("night",), ()] * 3


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Cluster]]:
    folder = tmp_path_factory.mktemp("service")
    facts = Facts(LABELS, np.arange(12, dtype=np.float64) * DAY, np.full(12, np.nan))
    with cluster(folder, Corpus(facts=facts)) as workers, process(workers, folder) as ready:
        yield ready["address"], workers


def ids(*numbers: int) -> list[str]:
    return [f"video-{number:03d}" for number in numbers]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(labels=["rome", "night"]), ids(0, 2, 4, 6, 8, 10)),
        (Filter(all_labels=["rome", "news"], no_labels=["night"]), ids(0, 4, 8)),
        (Filter(videos=ids(1, 5), after=date(1970, 1, 3)), ids(5)),
        (Filter(before=datetime(1970, 1, 2, 1, tzinfo=UTC), folder="videos"), ids(0, 1)),
        (Filter(folder="elsewhere"), []),
    ],
)
def test_a_filter_reaches_the_server(service: tuple[str, Cluster], wanted: Filter, found: list[str]) -> None:
    with Client(service[0]) as client:
        result = client.search(TEXT, page_size=100, options=Options(filter=wanted))
        listed = [video.id for video in client.videos(wanted, page_size=2)]
    assert listed == found
    assert {moment.video for moment in result.moments} == set(found)
    assert result.videos_allowed == len(found)


def test_parts_groups_and_facets_reach_the_server(service: tuple[str, Cluster]) -> None:
    first, second = Filter(start=0.0, end=4.5), Filter(part=(0.5, 1.0))
    with Client(service[0]) as client:
        early = client.search(TEXT, page_size=100, options=Options(filter=first, per_video=1, facets=True))
        late = client.search(TEXT, page_size=100, options=Options(filter=second, grouped=True))
        every = {video.id: video for video in client.videos()}
    assert all(moment.end <= 4.5 for moment in early.moments)
    assert sorted(moment.video for moment in early.moments) == ids(*range(12))
    assert [(facet.label, facet.videos) for facet in early.facets] == [("news", 6), ("night", 3), ("rome", 3)]
    assert all(moment.start >= every[moment.video].duration / 2 - 1e-6 for moment in late.moments)
    names = [moment.video for moment in late.moments]
    assert names == [name for name in dict.fromkeys(names) for _ in range(names.count(name))]
    one, dated = every["video-001"], datetime(1970, 1, 2, tzinfo=UTC)
    assert one == Video("video-001", "video-001.mp4", one.duration, ("news",), dated, None)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"labels": "news"}, "labels is 'news'; give a list"),
        ({"after": "2024"}, "after is '2024'; give a date"),
        ({"longer": -1}, "longer is -1; give seconds"),
        ({"start": 1.0, "part": (0.0, 1.0)}, "two ways"),
        ({"part": 0.5}, "part is 0.5; give two shares"),
    ],
)
def test_filters_that_cannot_be_sent_are_refused(wanted: dict[str, Any], message: str) -> None:
    async def run() -> None:
        async with AsyncClient("127.0.0.1:1") as client:
            await client.search(TEXT, options=Options(filter=Filter(**wanted)))

    with pytest.raises(InvalidInput, match=message):
        asyncio.run(run())


def test_the_asynchronous_client_lists_videos_too(service: tuple[str, Cluster]) -> None:
    async def run() -> list[str]:
        async with AsyncClient(service[0]) as client:
            return [video.id async for video in client.videos(Filter(labels=["night"]), page_size=2)]

    assert asyncio.run(run()) == ids(2, 6, 10)


def test_commands_filter_and_list(service: tuple[str, Cluster]) -> None:
    address, workers = service

    def run(command: Any, *options: str) -> str:
        result = CliRunner().invoke(command, options)
        assert result.exit_code == 0, result.output
        return result.stdout

    options = ["--label", "news", "--no-label", "rome", "--after", "1970-01-02", "--before", "1970-01-07"]
    lines = run(search.command, TEXT, "--address", address, *options, "--per-video", "1", "--facets")
    assert "video-001" in lines
    assert "2 of 2 moments" in lines
    assert "2 of them let through by the filter" in lines
    assert "labels: news 2" in lines
    part = ["--from", "50%", "--to", "100%", "--video", "video-002", "--json"]
    for moment in json.loads(run(search.command, TEXT, "--address", address, *part))["moments"]:
        assert moment["video"] == "video-002"
        assert moment["start"] >= workers.corpus.durations[2] / 2 - 1e-6
    served = run(videos.command, "--address", address, *options)
    assert served.splitlines()[0].split() == ["video", "duration", "date", "added", "labels", "file"]
    assert served.splitlines()[-1] == "2 videos"
    stored = run(videos.command, str(workers.topology.collection), *options, "--json").splitlines()
    assert [json.loads(line)["id"] for line in stored] == ids(1, 5)
    assert json.loads(stored[0])["uri"] == "file:///videos/video-001.mp4"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--after", "soon"], "'soon' is no date"),
        (["--from", "half"], "'half' is no time"),
        (["--from", "120%"], "'120%' is no share"),
        (["--from", "10", "--to", "90%"], "a time and a share"),
        (["--longer", "1:2:3:4"], "no time"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: list[str], said: str) -> None:
    result = CliRunner().invoke(search.command, [TEXT, *options])
    assert result.exit_code == 2
    assert said in result.output


def test_a_folder_that_is_no_collection_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(videos.command, [str(tmp_path)])
    assert "no active version" in str(result.exception)


def test_parts_and_negatives_reach_the_server(service: tuple[str, Cluster]) -> None:
    chain = Composed(parts=[Part(text=TEXT), Part(text="a star")], within=9)
    less = Composed(parts=[Part(text=TEXT, without=["a star"])])

    async def alike() -> list[SearchResult]:
        async with AsyncClient(service[0]) as client:
            return [await client.search(query) for query in (chain, less)]

    with Client(service[0]) as client:
        chains, lessened, plain = (client.search(query) for query in (chain, less, TEXT))
        batch = client.search_batch([chain, TEXT])
        coarse, _ = client.search_progressive(chain)
        explained = client.explain(chain, chains.moments[0].video)
    for moment in (*chains.moments, *coarse.moments):
        (start, end), (then, last) = moment.parts
        assert (moment.start, moment.end) == (start, max(end, last))
        assert start < then <= end + 9
    assert lessened.moments != plain.moments
    assert not plain.moments[0].parts
    assert explained.moments[0].parts == chains.moments[0].parts
    assert [result.moments for result in asyncio.run(alike())] == [chains.moments, lessened.moments]
    assert [result.moments for result in batch if isinstance(result, SearchResult)] == [
        chains.moments,
        plain.moments,
    ]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (Composed(parts=[]), "the query has no parts"),
        (Composed(parts=["a ball"]), "a part is of type str; give a Part"),  # type: ignore[list-item]
        (Composed(parts=[Part(text="a", without="night")]), "give a list of texts"),
        (Composed(parts=[Part(text="a")], within=-1), "within is -1; give seconds, 0 or more"),
    ],
)
def test_queries_that_cannot_be_sent_are_refused(
    service: tuple[str, Cluster], query: Composed, message: str
) -> None:
    with Client(service[0]) as client, pytest.raises(InvalidInput, match=re.escape(message)):
        client.search(query)


def test_the_command_says_what_it_understood_and_how_to_undo_it(service: tuple[str, Cluster]) -> None:
    def run(*options: str) -> str:
        done = CliRunner().invoke(search.command, [*options, "--address", service[0]])
        assert done.exit_code == 0, done.output
        return done.output

    text = "show me a ball, then a star, not at night, after 0:02"
    first = run(text).splitlines()[0]
    assert first.startswith('understood: "a ball", then "a star"; must not show: at night; from 0:02 of each')
    assert "--literal-words" in first
    told = json.loads(run(text, "--json"))
    assert told["interpretation"]["then"] == ["a star"]
    assert len(told["moments"][0]["parts"]) == 2
    partly = json.loads(run(text, "--literal-words", "not at night", "--json"))["interpretation"]
    assert partly["then"] == ["a star, not at night"]
    assert "understood" not in run(text, "--literal")
    chain = json.loads(run("a ball", "--then", "a star", "--within", "9", "--not", "night", "--json"))
    assert chain["interpretation"] is None
    assert len(chain["moments"][0]["parts"]) == 2
    refused = CliRunner().invoke(search.command, ["a ball", "--within", "9"])
    assert refused.exit_code == 2
    assert "--then" in refused.output


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("my%20film.mp4", "my film.mp4"),
        ("file:///films/L%C3%B6we.mp4", "/films/Löwe.mp4"),
        ("%FF.mp4", r"\xff.mp4"),
        ("s3://bucket/a.mp4", "s3://bucket/a.mp4"),
        ("", ""),
    ],
)
def test_a_table_names_files_as_people_do(uri: str, shown: str) -> None:
    assert videos._row(Video("talk", uri, 61.0, (), None, None))[-1] == shown
