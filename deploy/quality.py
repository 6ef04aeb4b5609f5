"""The ablation table of docs/quality.md: one training a variant and seed, measured on val.

    python deploy/quality.py [--collection build/demo/collection] [--out build/quality] [--seeds 1 2 3]

Works on a copy of the collection's features, annotations and projector. What is in OUT/results.jsonl is not
trained again, so a run that was stopped goes on where it was. Test queries are never opened.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SPR = [sys.executable, "-m", "spr_cli.main"]
OWN = ["score=fixed", "decode.coarse_weight=0"]
CONV = ["context_encoder=conv", "min_similarity=0.5", "bias_reach=8"]
LISTS = [
    "loss.objective=listwise",
    "loss.list_size=2",
    "loss.boundary=0.5",
    "batch=32",
    "steps=120",
    "lr=2e-3",
]
# name: config and changes. The first is the published recipe, the last the demo's.
VARIANTS: dict[str, tuple[str, list[str]]] = {
    "published, its own score": ("demo-published", OWN),
    "published, weighed score": ("demo-published", []),
    "published, fused score": ("demo-published", ["score=fused"]),
    "conv, published losses": ("demo-published", ["context_encoder=conv", "score=fused"]),
    "conv, lists, no shortcut": ("demo-published", [*CONV, *LISTS, "score=fused"]),
    "demo without bias": ("demo", ["bias_reach=0"]),
    "demo without published losses": ("demo", ["loss.objective=listwise"]),
    "demo without lists": ("demo", ["loss.objective=published"]),
    "demo with local attention": ("demo", ["context_encoder=local"]),
    "demo, its own score": ("demo", OWN),
    "demo": ("demo", []),
}
MEASURES = ("NDCG@10,IoU>=0.3", "NDCG@10,IoU>=0.5", "NDCG@10,IoU>=0.7")


def main() -> None:
    """Train what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--collection", type=Path, default=Path("build/demo/collection"))
    parser.add_argument("--out", type=Path, default=Path("build/quality"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    collection = prepare(options.collection, options.out)
    results = options.out / "results.jsonl"
    for seed in options.seeds:
        for name, (config, changes) in VARIANTS.items():
            if not any((row["name"], row["seed"]) == (name, seed) for row in read(results)):
                report = train(collection, config, changes, seed)
                row = {"name": name, "seed": seed, "refined": report["refined"], "seconds": report["seconds"]}
                with results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
    print("\n".join(table(read(results))))


def prepare(source: Path, out: Path) -> Path:
    """Copy what trainings read; an older copy is kept."""
    target = out / "collection"
    if not target.is_dir():
        ignored = shutil.ignore_patterns("generations", "ranker", "CURRENT.tmp")
        partial = out / "collection.partial"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial, ignore=ignored)
        partial.rename(target)
    return target


def train(collection: Path, config: str, changes: Sequence[str], seed: int) -> dict[str, Any]:
    """Return the report of one training."""
    command = ["train", "ranker", str(collection), "--config", config, "--seed", str(seed), "--json"]
    command += [part for change in changes for part in ("--set", change)]
    print(f"$ spr {' '.join(command)}", file=sys.stderr, flush=True)
    done = subprocess.run([*SPR, *command], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def read(results: Path) -> list[dict[str, Any]]:
    """Return what was measured so far; a line that was cut off counts as not measured."""
    rows = []
    for line in results.read_text(encoding="utf-8").splitlines() if results.is_file() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return a Markdown table: mean and standard deviation over seeds of every variant."""
    lines = [f"| variant | seeds | {' | '.join(MEASURES)} | s |", "|---|---|---|---|---|---|"]
    for name in VARIANTS:
        own = [row for row in rows if row["name"] == name]
        if own:
            cells = [spread([row["refined"][measure] for row in own]) for measure in MEASURES]
            seconds = statistics.median(row["seconds"] for row in own)
            lines.append(f"| {name} | {len(own)} | {' | '.join(cells)} | {seconds:.0f} |")
    return lines


def spread(values: Sequence[float]) -> str:
    """Return mean and standard deviation."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.3f} ({deviation:.3f})"


if __name__ == "__main__":
    main()
