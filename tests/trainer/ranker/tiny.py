"""Settings that train a ranker in no time, and such a training as a process."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from trainer.ranker.losses import LossConfig
from trainer.ranker.settings import RankerSettings
from workers.ranker.scoring.decode import DecodeConfig

ROOT = Path(__file__).parents[3]
SETTINGS = RankerSettings(
    hidden=16,
    heads=2,
    head_init="edge",
    dropout=0.0,
    input_dropout=0.0,
    context=4.0,
    depth=20,
    min_similarity=0.9,
    loss=LossConfig(boundary=0.1, hard_from_epoch=2),
    decode=DecodeConfig(max_span=20),
    optimizer="adamw",
    steps=40,
    batch=16,
    lr=3e-3,
    warmup=0.05,
    eval_every=20,
    log_every=1,
    save_every=10,
    seed=3,
)


def start(collection: Path) -> "subprocess.Popen[bytes]":
    """Train in a process of its own."""
    tables = {"ranker": asdict(SETTINGS)}
    for name in ("loss", "decode"):
        tables[f"ranker.{name}"] = tables["ranker"].pop(name)
    lines: list[str] = []
    for table, values in tables.items():
        lines += [
            f"[{table}]",
            *(f"{n} = {json.dumps(value)}" for n, value in values.items() if value is not None),
        ]
    config = collection.parent / "config.toml"
    config.write_text("\n".join(lines))
    arguments = ["train", "ranker", str(collection), "--config", str(config), "--device", "cpu"]
    return subprocess.Popen(
        [sys.executable, "-m", "spr_cli.main", *arguments, "--projector", "none"], cwd=ROOT
    )
