"""Plans are of figures that were measured: here against bench.json's, and against a collection's files."""

import copy
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from bench.planning import costs
from bench.planning.__main__ import renewed, table
from bench.planning.costs import EncoderCost, constant
from bench.planning.plan import Asked, plan
from bench.results import figure, read
from engine.corpus import open_corpus
from engine.errors import InvalidInput
from spr_cli.plan import command
from tests.trainer.library import living

DOCS = Path(__file__).parents[2] / "docs"
REPORT = read(DOCS / "performance" / "bench.json")
LARGE = EncoderCost.named("openai/clip-vit-large-patch14")
WITHIN = 0.2


def measured(stage: str, key: str, name: str = "") -> float:
    value = figure(REPORT, stage, key, name)
    assert value is not None
    return value


def near(found: float, wanted: float) -> bool:
    return abs(found - wanted) <= WITHIN * wanted


def hours(segments: int) -> float:
    return segments * 4 / 3600


def planned(**asked: Any) -> dict[str, Any]:
    return plan(Asked(**{"encoder": LARGE, **asked}))


def test_constants_are_those_that_were_measured() -> None:
    found = renewed(REPORT, costs.constants())
    for name, about in costs.constants().items():
        assert about["what"]
        assert about["source"]
        if name != "encoders":
            pairs = zip(np.ravel(about["value"]), np.ravel(found[name]["value"]), strict=True)
            assert all(one == pytest.approx(other, rel=0.02) for one, other in pairs), name


def test_a_run_on_other_indexes_renews_the_constants() -> None:
    """Sizes are of the kind of index that they were measured with."""
    run = copy.deepcopy(REPORT)
    rows = [row for row in run["stages"]["scale"]["rows"] if "segments" in row["more"]]
    for row in rows[1:]:
        row["more"]["factory"], row["value"] = "IVF512,RaBitQfs,Refine(SQfp16)", row["value"] / 2
    found = renewed(run, costs.constants())
    assert [size for size, _ in found["scan_ms"]["value"]] == [100_000]
    assert found["lists_ms"]["value"] == [[row["more"]["segments"], row["value"]] for row in rows[1:]]
    assert {name: about["what"] for name, about in found.items()} == {
        name: about["what"] for name, about in costs.constants().items()
    }
    spent = {"index_cpu_ms": 9.0, "ranker_cpu_ms": 2.5, "coordinator_cpu_ms": 3.1}
    [busy] = [row for row in run["stages"]["load"]["rows"] if row["key"] == "clients_32"]
    busy["more"] |= spent
    at_load = renewed(run, costs.constants())
    assert at_load["rank_cpu_ms"]["value"] == 2.5
    assert at_load["coordinator_cpu_ms"]["value"] == pytest.approx(2.5)
    search = costs.interpolated(at_load["lists_ms"]["value"], 191_914, 1.0)
    assert at_load["call_cpu_ms"]["value"] == pytest.approx(4.5 - search)
    rows[2]["more"].clear()
    del run["stages"]["index"]
    with pytest.raises(InvalidInput, match="no figure 'fast' of stage 'index'"):
        renewed(run, costs.constants())


@pytest.mark.parametrize("name", ["scan_ms", "lists_ms"])
def test_a_measured_size_is_foretold_by_the_others(name: str) -> None:
    points = constant(name)
    for place in range(len(points) if len(points) > 2 else 0):
        others = [point for number, point in enumerate(points) if number != place]
        (n, low), (m, high) = others[-2:]
        power = 1.0 if name == "scan_ms" else math.log(high / low) / math.log(m / n)
        assert near(costs.interpolated(others, points[place][0], power), points[place][1])


def test_sizes_of_lists_are_planned_as_they_were_measured() -> None:
    largest = constant("lists_ms")[-1][0]
    for segments, value in constant("lists_ms"):
        found = costs.shard("auto", 768, segments, 1)
        assert found.search_ms == pytest.approx(value)
        assert found.measured == largest


def test_sizes_are_those_of_the_published_corpus() -> None:
    for index, key in (("auto", "default"), ("fast", "fast"), ("flat", "flat")):
        wanted = sum(measured("index", key, name) for name in ("codes_mb", "originals_mb"))
        assert near(costs.shard(index, 768, 383_828, 1).memory_mb, wanted)


def test_latency_and_throughput_are_those_of_the_measured_service() -> None:
    found = planned(hours=hours(383_828), shards=2)
    assert near(found["latency_ms"]["repeated"], measured("search", "p50"))
    assert near(found["latency_ms"]["new"], measured("search", "new"))
    assert near(found["latency_ms"]["repeated_p99"], measured("search", "p50", "p99_ms"))
    # Its two cores, which the clients share, of queries that were encoded before.
    index = 2 * (found["index"]["search_ms"] + constant("call_cpu_ms"))
    busy = index + constant("rank_cpu_ms") + found["coordinator"]["cpu_ms"]
    busy += measured("load", "clients_32", "clients_cpu_ms")
    assert near(2 * 1e3 / busy, measured("load", "clients_32", "queries_s"))


def test_disk_is_what_a_build_writes(tmp_path: Path) -> None:
    videos = {f"v{number:02d}": (number, 1800) for number in range(4)}
    path = living.collection(tmp_path / "c", videos, shards=1)
    (part,) = open_corpus(path).parts
    written = sum(
        entry.bytes for name, entry in part.about.files.items() if name.startswith(("index/", "context/"))
    )
    index = costs.shard("auto", living.DIM, part.about.segments, 1)
    stored = costs.hour(living.DIM, 768, "none")
    looks = 64 * 3600 / 1e6  # these videos have no pictures
    assert near((index.memory_mb + 2 * (stored.part_mb - looks)) * 1e6, written)
    kept = sum(file.stat().st_size for file in (path / "features").rglob("*.bin"))
    assert near(2 * (stored.store_mb - constant("pictures_mb")) * 1e6, kept)


def test_contexts_take_what_the_ranker_says() -> None:
    # docs/ranker.md: an hour of clips of 1.5 s.
    clips = 1 / 1.5
    assert near(costs.hour(768, 768, "float16", clips).contexts_mb, 7.4)
    assert near(costs.hour(768, 768, "int8", clips).contexts_mb, 3.7)
    assert costs.hour(768, 768, "int5", clips).contexts_mb <= 2.5
    assert costs.hour(768, 768, "none").contexts_mb == 0


def test_more_queries_need_more_workers_and_no_more_than_that() -> None:
    few, many = (planned(hours=5000, qps=qps) for qps in (1, 800))
    for process in ("index", "ranker", "coordinator"):
        assert few[process]["workers"] < many[process]["workers"]
        assert few[process]["memory_gb"] == many[process]["memory_gb"]
    assert few["index"]["replicas"] == 2
    assert few["latency_ms"] == many["latency_ms"]
    busy = 800 * (many["index"]["search_ms"] + constant("call_cpu_ms")) / 1e3
    assert busy / many["index"]["replicas"] <= 0.5
    assert planned(hours=5000, gpus=4)["ingest"]["hours"] < few["ingest"]["hours"]


def test_rankers_hold_as_many_shards_as_a_host_has_room_for() -> None:
    whole, split = (planned(hours=hours(segments), qps=10) for segments in (10**7, 10**8))
    assert (whole["ranker"]["groups"], whole["ranker"]["encoders"]) == (1, 0)
    ranker = split["ranker"]
    assert (ranker["groups"], ranker["shards_each"], ranker["workers"]) == (6, 6, 12)
    assert ranker["memory_gb"] <= 256 < ranker["memory_gb"] * 7 / 6
    assert ranker["encoders"] == 2
    assert split["total"]["cores"] == split["index"]["workers"] + 4 * 14 + split["coordinator"]["workers"]
    assert (
        split["latency_ms"]["repeated"] > planned(hours=hours(10**8), host_gb=9999)["latency_ms"]["repeated"]
    )


def test_what_was_not_measured_is_said() -> None:
    assert planned(hours=hours(3_200_000))["notes"] == []
    said = " ".join(planned(hours=hours(10**9), gpus=1, shards=100)["notes"])
    for part in (
        "Measured were indexes of this kind of up to 3,200,000 segments",
        "asks 100 of them",
        "GPUs is reckoned",
    ):
        assert part in said
    one = planned(hours=hours(10**9), shards=1)
    assert any(note.startswith("The contexts of one shard are 12,") for note in one["notes"])
    assert "of 768" in planned(hours=1, encoder=EncoderCost("e", 512, 0.1))["notes"][0]


def test_the_command_tells_the_plan() -> None:
    run = CliRunner()
    told = run.invoke(command, ["--hours", "1000", "--qps", "5", "--core-price", "7", "--json"])
    found = json.loads(told.output)
    assert found["cost"]["assumed_prices"]["core"] == 7
    assert found["corpus"]["segments"] == 900_000
    text = run.invoke(command, ["--hours", "1000", "--qps", "5"]).output
    for part in ("1,000 hours, 900,000 segments of 768", "1 x 900,000, IVF2048", "at assumed prices"):
        assert part in text
    refused = run.invoke(command, ["--hours", "1", "--encoder", "unheard"])
    assert isinstance(refused.exception, InvalidInput)
    assert "a directory, which is measured here" in str(refused.exception)


def test_the_table_of_the_page_is_what_is_planned() -> None:
    lines = (DOCS / "scale.md").read_text(encoding="utf-8").splitlines()
    told = [line for line in lines if line.startswith("| 1") and line.count("|") == 9]
    assert told == [f"| {' | '.join(row)} |" for row in table()]
