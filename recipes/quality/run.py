"""The steps of the quality tables: one `spr` command each, printed as it runs; finished ones are kept."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from recipes.quality.variants import ABLATION, ABLATION_SEEDS, DEFAULT, MAIN, PUBLISHED, Row, Variant
from recipes.steps import Steps

FIRST_STAGES = (PUBLISHED, DEFAULT)
# What every training reads.
DATA = "annotate"


def prepare(steps: Steps, out: Path, videos: int, seed: int, minutes: float) -> None:
    """Make features, annotations and both first stages from nothing."""
    world, collection = f"{out}/world", f"{out}/collection"
    size = ["--videos", str(videos), "--seed", str(seed), "--profile", "hard"]
    encoder = ["--out", f"{out}/encoder", "--minutes", f"{minutes:g}", "--force"]
    ingest = [f"{world}/videos", "--collection", collection, "--encoder", f"{out}/encoder"]
    steps.run("render", ["corpus", "render", world, *size])
    steps.run("encoder", ["train", "encoder", world, *encoder], after=("render",))
    steps.run("ingest", ["ingest", *ingest], after=("encoder",))
    annotate = ["corpus", "annotate", f"{world}/annotations", "--collection", collection]
    steps.run(DATA, annotate, after=("ingest",))
    for config in FIRST_STAGES:
        first_stage(steps, out, config)


def first_stage(steps: Steps, out: Path, config: str) -> str:
    """Return the fingerprint of the first stage that rankers are compared on."""
    command = ["train", "projector", f"{out}/collection", "--config", config, "--json"]
    fingerprint: str = json.loads(steps.run(_stage1(config), command, after=(DATA,)))["fingerprint"]
    return fingerprint


def _stage1(config: str) -> str:
    return f"projector-{config}"


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


def measure_first_stage(steps: Steps, out: Path, name: str, variant: Variant, seed: int) -> Row:
    """Return what a first stage, trained for it, finds on val."""
    step = _named("first", name, seed)
    projector = json.loads(steps.run(step, _training(out, "projector", variant, seed), after=(DATA,)))
    build = ["--projector", projector["fingerprint"], "--ranker", "none"]
    value = _answers(steps, out, "val", build, [], step)
    slices = {each: part["retrieval"] for each, part in value["slices"].items()}
    return {"name": name, "seed": seed, "retrieval": value["retrieval"], "slices": slices}


def train_ranker(steps: Steps, out: Path, table: str, name: str, variant: Variant, seed: int) -> Row:
    """Return what a ranker reached on val."""
    projector = first_stage(steps, out, variant.projector)
    command = [*_training(out, "ranker", variant, seed), "--projector", projector]
    said = json.loads(steps.run(_named(table, name, seed), command, after=(_stage1(variant.projector),)))
    row = {"table": table, "name": name, "seed": seed, "projector": projector}
    return row | {key: said[key] for key in ("fingerprint", "coarse", "refined", "seconds")}


def measure_on_test(steps: Steps, out: Path, trained: Row, variant: Variant) -> Row:
    """Return the figures of a trained ranker on test."""
    name, seed = trained["name"], trained["seed"]
    models = ["--projector", trained["projector"], "--ranker", trained["fingerprint"]]
    # The published encoder knows positions: stored contexts would cost it a little.
    contexts = ["--contexts", "none"] if variant.config == PUBLISHED else []
    run = out / "runs" / f"{_named(trained['table'], name, seed)}.json"
    run.parent.mkdir(parents=True, exist_ok=True)
    search = [*variant.search, "--run-out", str(run)]
    value = _answers(steps, out, "test", models + contexts, search, _named(trained["table"], name, seed))
    kept = ("coarse", "refined", "ceiling", "share", "retrieval", "slices", "confidence", "intervals")
    return {"name": name, "seed": seed, **{key: value.get(key) for key in kept}}


def _named(table: str, name: str, seed: int) -> str:
    return f"{table}-{name.replace(' ', '-').replace(',', '')}-{seed}"


def _training(out: Path, kind: str, variant: Variant, seed: int) -> list[str]:
    changes = [part for change in variant.changes for part in ("--set", change)]
    command = ["train", kind, f"{out}/collection", "--config", variant.config, "--seed", str(seed)]
    return [*command, *changes, "--json"]


def _answers(
    steps: Steps, out: Path, split: str, build: Sequence[str], search: Sequence[str], after: str
) -> Row:
    """Build the videos of a split, ask all its queries and return the report; one step of two commands."""
    collection, truth = f"{out}/collection", f"{out}/collection/annotations/{split}.json"
    videos = ["--videos", f"{out}/collection/annotations/corpus_{split}.json", "--index", "flat"]
    command = ["build", collection, *videos, *build, "--no-activate", "--json"]
    # The published way has no index of words: rankers compare by what vectors find.
    question = ["eval", "--collection", collection, "--truth", truth, "--in", "seen", *search, "--json"]

    def make() -> str:
        version = json.loads(steps.spr(command, capture=True))["id"]
        return steps.spr([*question, "--version", version], capture=True)

    said = steps.once(f"{after}-on-{split}", [*command, *question], make, after=(after,))
    value: Row = json.loads(said)
    return value
