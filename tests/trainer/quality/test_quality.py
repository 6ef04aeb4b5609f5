"""What is behind docs/quality.md: what it trains can be trained, what it has measured stays measured."""

import json
from pathlib import Path

from trainer.projector.settings import ProjectorSettings
from trainer.quality import run
from trainer.quality.tables import MEASURES, report
from trainer.quality.variants import ABLATION, FIRST, LONG, MAIN, Variant
from trainer.ranker.settings import RankerSettings
from trainer.settings import load_settings


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
    assert (published.context_encoder, published.loss.objective) == ("attention", "published")
    assert published.decode.coarse_weight == 0
    assert default == load_settings(RankerSettings, "ranker", "demo", LONG)
    assert published.val_proposals == default.val_proposals
    line = MAIN["published line"]
    assert line.search == ["--segment-top-k", "200", "--proposals", "adjacent"]
    assert settings(line).val_proposals == "adjacent"


def test_what_is_measured_is_not_measured_again(tmp_path: Path) -> None:
    row = {"table": "main", "name": "default", "seed": 1, "projector": "p", "fingerprint": "f"}
    for name in ("results", "test", "first"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row) + '\n{"table": "main", "name": "de')
    # A training would fail here: there is no collection.
    assert run.train_ranker(tmp_path, "main", "default", MAIN["default"], 1) == row
    run.measure_on_test(tmp_path, row, MAIN["default"])
    run.measure_first_stage(tmp_path, "default", FIRST["default"], 1)
    assert run.read(tmp_path / "first.jsonl") == [row]


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
    recall = {"SegmentRecall": 0.5}
    names = ("imprecise", "precise", "temporal-only", "subtitle-only")
    found = [{"name": "default", "seed": 1, "retrieval": recall, "slices": dict.fromkeys(names, recall)}]
    lines = report(trained, tested, found)
    cell = "0.450 (0.071)"
    assert f"| default | 2 | {cell} | {cell} | {cell} |" in lines
    assert f"| default | {cell} | {cell} | {cell} | {cell} | {cell} | 0.900 (0.000) |" in lines
    assert f"| default | {cell} |" in lines
    assert f"| default | 2 | {cell} | {cell} | {cell} | 9 |" in lines
    assert "| default | 1 |" + " 0.500 (0.000) |" * 5 in lines
