"""What is behind docs/quality.md: what it trains can be trained, what it has measured stays measured."""

import json
import sys
from pathlib import Path

from recipes.quality import run
from recipes.quality.tables import MEASURES, report
from recipes.quality.variants import ABLATION, FIRST, LONG, MAIN, Variant
from recipes.steps import Steps
from trainer.projector.settings import ProjectorSettings
from trainer.ranker.settings import RankerSettings
from trainer.runs.settings import load_settings


def settings(variant: Variant) -> RankerSettings:
    return load_settings(RankerSettings, "ranker", variant.config, variant.changes)


def test_every_variant_is_a_training_of_its_own() -> None:
    for table in (MAIN, ABLATION):
        trainings = {(settings(variant), variant.projector) for variant in table.values()}
        assert len(trainings) == len(table)
    firsts = {load_settings(ProjectorSettings, "projector", v.config, v.changes) for v in FIRST.values()}
    assert len(firsts) == len(FIRST)


def test_published_is_published_and_both_rank_the_same_proposals() -> None:
    published, default = (settings(MAIN[name]) for name in ("published ReLo, its own score", "default"))
    assert (published.model.context_encoder, published.loss.objective) == ("attention", "published")
    assert published.decode.coarse_weight == 0
    assert default == load_settings(RankerSettings, "ranker", "demo", LONG)
    assert published.val_proposals == default.val_proposals
    line = MAIN["published line"]
    assert line.search == ["--segment-top-k", "200", "--proposals", "adjacent"]
    assert settings(line).val_proposals == "adjacent"


# Says what it was asked, as a training, a build and a report do at once.
ECHO = """
import json, sys
with open(sys.argv[1], "a") as log: log.write(json.dumps(sys.argv[2:]) + "\\n")
print(json.dumps({"fingerprint": "f" + "-".join(sys.argv[2:]).replace("/", ""), "id": "g", "coarse": {},
                  "refined": {}, "seconds": 1, "retrieval": {}, "slices": {}}))
"""


def asked(tmp_path: Path, videos: int = 600, seed: int = 1) -> list[list[str]]:
    """What the whole run of one variant asks of `spr`."""
    log = tmp_path / "log"
    log.write_text("")
    steps = Steps(tmp_path / "steps", [sys.executable, "-c", ECHO, str(log)])
    run.prepare(steps, tmp_path, videos, 7, 10)
    row = run.train_ranker(steps, tmp_path, "main", "default", MAIN["default"], seed)
    run.measure_on_test(steps, tmp_path, row, MAIN["default"])
    run.measure_first_stage(steps, tmp_path, "default", FIRST["default"], seed)
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_what_is_measured_is_not_measured_again(tmp_path: Path) -> None:
    first = asked(tmp_path)
    assert [command[0] for command in first] == [
        *("corpus", "train", "ingest", "corpus", "train", "train"),
        *("train", "build", "eval", "train", "build", "eval"),
    ]
    assert asked(tmp_path) == []
    # Another seed of the ranker: its training and what is measured of it.
    assert [command[0] for command in asked(tmp_path, seed=2)] == ["train", "build", "eval"] * 2


def test_another_world_is_measured_anew(tmp_path: Path) -> None:
    first = asked(tmp_path)
    other = asked(tmp_path, videos=60)
    assert len(other) == len(first)
    assert ["--videos", "60"] == other[0][3:5]
    # What the first world left is not taken for the second's, nor the other way round.
    assert len(asked(tmp_path)) == len(first)


def test_the_tables_have_means_and_deviations() -> None:
    stages = ("coarse", "refined", "ceiling", "share")
    tested = [
        {
            "name": "default",
            "seed": seed,
            **{stage: dict.fromkeys(MEASURES, value) for stage in stages},
            "slices": {
                "precise": {"answerable": 3, "refined": dict.fromkeys(MEASURES, value)},
                "imprecise": {"answerable": 1, "refined": dict.fromkeys(MEASURES, value + 0.4)},
                "subtitle-only": {"answerable": 9, "refined": dict.fromkeys(MEASURES, 1.0)},
            },
            "confidence": {"refined": {"ECE": value, "no-answer": {"AUROC": 0.9}}},
        }
        for seed, value in ((1, 0.4), (2, 0.5))
    ]
    trained = [
        {"table": "main", "name": "default", "refined": dict.fromkeys(MEASURES, value), "seconds": 9.0}
        for value in (0.4, 0.5)
    ]
    recall = {"SegmentRecall": 0.5}
    names = ("imprecise", "precise", "temporal-only", "subtitle-only")
    found = [{"name": "default", "seed": 1, "retrieval": recall, "slices": dict.fromkeys(names, recall)}]
    lines = report(trained, tested, found)
    cell = "0.450 (0.071)"
    assert f"| default | 2 | {cell} | {cell} | {cell} |" in lines
    assert f"| default | {cell} | {cell} | {cell} | {cell} | {cell} | 0.900 (0.000) |" in lines
    without = "| default | 0.850 (0.071) | 0.450 (0.071) | 1.000 (0.000) | 0.550 (0.071) |"
    assert without in lines
    assert f"| default | 2 | {cell} | {cell} | {cell} | 9 |" in lines
    assert "| default | 1 |" + " 0.500 (0.000) |" * 5 in lines
