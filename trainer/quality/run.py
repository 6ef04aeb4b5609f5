"""From nothing to every figure: one `spr` command a step, printed as it runs; what is finished is kept."""

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from trainer.quality.variants import ABLATION, ABLATION_SEEDS, DEFAULT, MAIN, PUBLISHED, Row, Variant

SPR = [sys.executable, "-m", "spr_cli.main"]
FIRST_STAGES = (PUBLISHED, DEFAULT)


def steps(out: Path, videos: int, seed: int, minutes: float) -> list[tuple[str, list[str]]]:
    """Return the commands from nothing to features, annotations and both first stages, by step."""
    world, collection = f"{out}/world", f"{out}/collection"
    size = ["--videos", str(videos), "--seed", str(seed), "--profile", "hard"]
    encoder = ["--out", f"{out}/encoder", "--minutes", f"{minutes:g}", "--force"]
    return [
        ("render", ["corpus", "render", world, *size]),
        ("encoder", ["train", "encoder", world, *encoder]),
        ("ingest", ["ingest", f"{world}/videos", "--collection", collection, "--encoder", f"{out}/encoder"]),
        ("annotate", ["corpus", "annotate", f"{world}/annotations", "--collection", collection]),
        *(
            (stage1(name), ["train", "projector", collection, "--config", name, "--json"])
            for name in FIRST_STAGES
        ),
    ]


def stage1(config: str) -> str:
    """Return the step that trains a first stage."""
    return f"projector-{config}"


def once(out: Path, name: str, command: Sequence[str]) -> None:
    """Run a step unless it has finished before, and keep what it says with --json."""
    stamp = out / "steps" / f"{name}.json"
    if stamp.is_file():
        return
    said = spr(command, capture="--json" in command)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(said, encoding="utf-8")


def trainings(only: str | None, seeds: Sequence[int]) -> Iterator[tuple[str, str, Variant, int]]:
    """Yield every training of a ranker: its table, name, variant and seed, the main table first."""
    tables: tuple[tuple[str, Mapping[str, Variant], Sequence[int]], ...] = (
        ("main", MAIN, seeds),
        ("ablation", ABLATION, seeds[:ABLATION_SEEDS]),
    )
    for table, variants, own in tables:
        for seed in own if only in (None, table) else ():
            for name, variant in variants.items():
                yield table, name, variant, seed


def measure_first_stage(out: Path, name: str, variant: Variant, seed: int) -> None:
    """Train a first stage and write down what it finds on val, once."""
    results = out / "first.jsonl"
    if _known(results, name=name, seed=seed):
        return
    projector = _trained(out, "projector", variant, seed)["fingerprint"]
    value = _answers(out, "val", ["--projector", projector, "--ranker", "none"], [])
    slices = {each: part["retrieval"] for each, part in value["slices"].items()}
    append(results, {"name": name, "seed": seed, "retrieval": value["retrieval"], "slices": slices})


def train_ranker(out: Path, table: str, name: str, variant: Variant, seed: int) -> Row:
    """Return what a ranker reached on val; trained only if that is not written down yet."""
    results = out / "results.jsonl"
    if known := _known(results, table=table, name=name, seed=seed):
        return known
    projector = json.loads((out / "steps" / f"{stage1(variant.projector)}.json").read_text())["fingerprint"]
    said = _trained(out, "ranker", variant, seed, "--projector", projector)
    row = {"table": table, "name": name, "seed": seed, "projector": projector}
    row |= {key: said[key] for key in ("fingerprint", "coarse", "refined", "seconds")}
    append(results, row)
    return row


def measure_on_test(out: Path, trained: Row, variant: Variant) -> None:
    """Measure a trained ranker on test, once."""
    results, name, seed = out / "test.jsonl", trained["name"], trained["seed"]
    if _known(results, name=name, seed=seed):
        return
    models = ["--projector", trained["projector"], "--ranker", trained["fingerprint"]]
    # The published encoder knows positions: stored contexts would cost it a little.
    contexts = ["--contexts", "none"] if variant.config == PUBLISHED else []
    run = out / "runs" / f"{name.replace(' ', '-').replace(',', '')}-{seed}.json"
    run.parent.mkdir(parents=True, exist_ok=True)
    value = _answers(out, "test", models + contexts, [*variant.search, "--run-out", str(run)])
    kept = ("coarse", "refined", "ceiling", "share", "retrieval", "slices", "confidence", "intervals")
    append(results, {"name": name, "seed": seed, **{key: value.get(key) for key in kept}})


def _trained(out: Path, kind: str, variant: Variant, seed: int, *more: str) -> Row:
    command = ["train", kind, f"{out}/collection", "--config", variant.config, "--seed", str(seed)]
    command += [*more, "--json", *(part for change in variant.changes for part in ("--set", change))]
    value: Row = json.loads(spr(command, capture=True))
    return value


def _answers(out: Path, split: str, build: Sequence[str], search: Sequence[str]) -> Row:
    """Build the videos of a split, ask all its queries and return the report."""
    collection, truth = f"{out}/collection", f"{out}/collection/annotations/{split}.json"
    videos = ["--videos", f"{out}/collection/annotations/corpus_{split}.json", "--index", "flat"]
    built = spr(["build", collection, *videos, *build, "--no-activate", "--json"], capture=True)
    asked = ["eval", "--collection", collection, "--generation", json.loads(built)["id"], "--truth", truth]
    value: Row = json.loads(spr([*asked, *search, "--json"], capture=True))
    return value


def _known(results: Path, **wanted: object) -> Row | None:
    return next((row for row in read(results) if wanted.items() <= row.items()), None)


def spr(command: Sequence[str], capture: bool = False) -> str:
    """Print and run one command; stop with its exit code when it fails. Return its output if captured."""
    print(f"$ {shlex.join(['spr', *command])}", file=sys.stderr, flush=True)
    done = subprocess.run(
        [*SPR, *command], stdout=subprocess.PIPE if capture else None, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout or ""


def append(results: Path, row: Row) -> None:
    """Write down one measurement."""
    with results.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def read(results: Path) -> list[Row]:
    """Return what was measured so far; a line that was cut off counts as not measured."""
    rows = []
    for line in results.read_text(encoding="utf-8").splitlines() if results.is_file() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows
