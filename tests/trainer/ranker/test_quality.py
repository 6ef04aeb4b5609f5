"""The ablation script: its variants can be trained, and what it has measured is not measured again."""

import json
import runpy
from pathlib import Path
from typing import Any

from trainer.ranker.settings import RankerSettings
from trainer.settings import load_settings

SCRIPT = runpy.run_path(str(Path(__file__).parents[3] / "deploy" / "quality.py"))


def test_every_variant_is_a_training() -> None:
    loaded = {
        name: load_settings(RankerSettings, "ranker", config, changes)
        for name, (config, changes) in SCRIPT["VARIANTS"].items()
    }
    assert len(set(loaded.values())) == len(loaded)
    published, demo = loaded["published, its own score"], loaded["demo"]
    assert (published.context_encoder, published.loss.objective) == ("attention", "published")
    assert published.decode.coarse_weight == 0
    assert demo == load_settings(RankerSettings, "ranker", "demo")


def test_the_table_has_means_and_deviations_and_survives_a_cut_line(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"name": "demo", "seed": seed, "refined": dict.fromkeys(SCRIPT["MEASURES"], value), "seconds": 9.0}
        for seed, value in ((1, 0.4), (2, 0.5))
    ]
    file = tmp_path / "results.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"name": "de')
    assert SCRIPT["read"](file) == rows
    assert SCRIPT["table"](rows)[2:] == ["| demo | 2 | 0.450 (0.071) | 0.450 (0.071) | 0.450 (0.071) | 9 |"]
