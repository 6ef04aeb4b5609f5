"""The script behind docs/quality.md: what it trains can be trained, what it has measured stays measured."""

import json
import runpy
from pathlib import Path
from typing import Any

from trainer.projector.settings import ProjectorSettings
from trainer.ranker.settings import RankerSettings
from trainer.settings import load_settings

SCRIPT = runpy.run_path(str(Path(__file__).parents[3] / "deploy" / "quality.py"))
MEASURES = SCRIPT["MEASURES"]


def settings(variant: Any) -> RankerSettings:
    return load_settings(RankerSettings, "ranker", variant.config, variant.changes)


def test_every_variant_is_a_training_of_its_own() -> None:
    for table in (SCRIPT["MAIN"], SCRIPT["ABLATION"]):
        trainings = {(settings(variant), variant.projector) for variant in table.values()}
        assert len(trainings) == len(table)
    for config in SCRIPT["FIRST_STAGES"]:
        load_settings(ProjectorSettings, "projector", config)


def test_published_is_published_and_both_rank_the_same_proposals() -> None:
    published, default = (
        settings(SCRIPT["MAIN"][name]) for name in ("published ReLo, its own score", "default")
    )
    assert (published.context_encoder, published.loss.objective) == ("attention", "published")
    assert published.decode.coarse_weight == 0
    assert default == load_settings(RankerSettings, "ranker", "demo", SCRIPT["LONG"])
    assert published.val_proposals == default.val_proposals
    line = SCRIPT["MAIN"]["published line"]
    assert line.search == ["--segment-top-k", "200", "--proposals", "adjacent"]
    assert settings(line).val_proposals == "adjacent"


def test_what_is_measured_is_not_measured_again(tmp_path: Path) -> None:
    row = {"table": "main", "name": "default", "seed": 1, "projector": "p", "fingerprint": "f"}
    results = tmp_path / "results.jsonl"
    results.write_text(json.dumps(row) + '\n{"table": "main", "name": "de')
    # A training would fail here: there is no collection.
    assert SCRIPT["train"](tmp_path, results, "main", "default", SCRIPT["MAIN"]["default"], 1) == row
    SCRIPT["test"](tmp_path, results, row, SCRIPT["MAIN"]["default"])
    assert SCRIPT["read"](results) == [row]


def test_the_tables_have_means_and_deviations() -> None:
    stages = ("coarse", "refined", "ceiling", "share")
    tested = [
        {
            "name": "default",
            "seed": seed,
            **{stage: dict.fromkeys(MEASURES, value) for stage in stages},
            "slices": {"precise": {"refined": dict.fromkeys(MEASURES, value)}},
            "confidence": {"refined": {"ECE": value, "no-answer": {"AUROC": 0.9}}},
        }
        for seed, value in ((1, 0.4), (2, 0.5))
    ]
    trained = [
        {"table": "main", "name": "default", "refined": dict.fromkeys(MEASURES, value), "seconds": 9.0}
        for value in (0.4, 0.5)
    ]
    lines = SCRIPT["report"](trained, tested)
    cell = "0.450 (0.071)"
    assert f"| default | 2 | {cell} | {cell} | {cell} |" in lines
    assert f"| default | {cell} | {cell} | {cell} | {cell} | {cell} | 0.900 (0.000) |" in lines
    assert f"| default | {cell} |" in lines
    assert f"| default | 2 | {cell} | {cell} | {cell} | 9 |" in lines
