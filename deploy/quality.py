"""The tables of docs/quality.md, from nothing: a rendered hard world, every model, val, and test once.

    python deploy/quality.py [--out build/quality] [--videos 600] [--seeds 1 2 3] [--only main|ablation]

Each step is one `spr` command, printed before it runs. What is finished is kept, so a run that was stopped
goes on where it was. Val decides: what is measured on test changes nothing, and is measured once a model.
"""

import argparse
import json
import shlex
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SPR = [sys.executable, "-m", "spr_cli.main"]
DEFAULT, PUBLISHED = "demo", "demo-published"
OWN = ("score=fixed", "decode.coarse_weight=0")
# The default's proposals, for a comparison of rankers alone.
PEAKS = "val_proposals=peaks:1"
# Five times the demo's videos deserve more steps: as long as the published recipe's 300 dearer ones take.
LONG = ("steps=480", "eval_every=120")
# Of an ablation: a third of them, every row alike.
SHORT = ("steps=160", "eval_every=80")
ABLATION_SEEDS = 2
MEASURES = ("NDCG@10,IoU>=0.3", "NDCG@10,IoU>=0.5", "NDCG@10,IoU>=0.7")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Variant:
    """One training of a ranker, and how it is asked. projector: the config of stage 1."""

    config: str = DEFAULT
    changes: tuple[str, ...] = ()
    projector: str = DEFAULT
    published: bool = False

    @property
    def search(self) -> list[str]:
        """How many segments a search fetches, and the rule that makes proposals of them."""
        return ["--segment-top-k", "200", "--proposals", "adjacent"] if self.published else []


MAIN = {
    "published line": Variant(PUBLISHED, OWN, PUBLISHED, published=True),
    "published ReLo, its own score": Variant(PUBLISHED, (*OWN, PEAKS)),
    "published ReLo, fitted score": Variant(PUBLISHED, ("score=fused", PEAKS)),
    "default": Variant(changes=LONG),
}
ABLATION = {
    "default": Variant(changes=SHORT),
    "published first stage": Variant(changes=SHORT, projector=PUBLISHED),
    "published proposals": Variant(changes=(*SHORT, "val_proposals=adjacent")),
    "score of the published formula": Variant(changes=(*SHORT, *OWN)),
    "published losses alone": Variant(changes=(*SHORT, "loss.objective=published")),
    "listwise losses alone": Variant(changes=(*SHORT, "loss.objective=listwise")),
    "no shortcut": Variant(changes=(*SHORT, "shortcut=false", "anchor=false")),
    "no anchor": Variant(changes=(*SHORT, "anchor=false")),
    "no bias": Variant(changes=(*SHORT, "bias_reach=0")),
    "local attention": Variant(changes=(*SHORT, "context_encoder=local")),
    "published attention": Variant(
        changes=(*SHORT, "context_encoder=attention", "shortcut=false", "anchor=false")
    ),
}


def main() -> None:
    """Make what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/quality"))
    parser.add_argument("--videos", type=int, default=600)
    parser.add_argument("--world-seed", type=int, default=7)
    parser.add_argument("--minutes", type=float, default=10, help="of the encoder's training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--only", choices=["main", "ablation"])
    options = parser.parse_args()
    for name, command in steps(options.out, options.videos, options.world_seed, options.minutes):
        once(options.out, name, command)
    results = options.out / "results.jsonl"
    for table, name, variant, seed in work(options.only, options.seeds):
        row = train(options.out, results, table, name, variant, seed)
        if table == "main":
            test(options.out, options.out / "test.jsonl", row, variant)
    print("\n".join(report(read(results), read(options.out / "test.jsonl"))))


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
        *((stage1(name), ["train", "projector", collection, "--config", name]) for name in FIRST_STAGES),
    ]


FIRST_STAGES = (PUBLISHED, DEFAULT)


def stage1(config: str) -> str:
    """Return the step that trains a first stage."""
    return f"projector-{config}"


def once(out: Path, name: str, command: Sequence[str]) -> None:
    """Run a step unless it has finished before; keep what it printed as JSON where it can."""
    stamp = out / "steps" / f"{name}.json"
    if stamp.is_file():
        return
    asked = [*command, "--json"] if name.startswith("projector") else [*command]
    said = spr(asked, capture=name.startswith("projector"))
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(said or "{}", encoding="utf-8")


def work(only: str | None, seeds: Sequence[int]) -> Iterator[tuple[str, str, Variant, int]]:
    """Yield every training: its table, name, variant and seed, the main table first."""
    tables: tuple[tuple[str, Mapping[str, Variant], Sequence[int]], ...] = (
        ("main", MAIN, seeds),
        ("ablation", ABLATION, seeds[:ABLATION_SEEDS]),
    )
    for table, variants, own in tables:
        for seed in own if only in (None, table) else ():
            for name, variant in variants.items():
                yield table, name, variant, seed


def train(out: Path, results: Path, table: str, name: str, variant: Variant, seed: int) -> Row:
    """Return what one training reached on val; trained only if that is not written down yet."""
    for row in read(results):
        if (row["table"], row["name"], row["seed"]) == (table, name, seed):
            return row
    projector = json.loads((out / "steps" / f"{stage1(variant.projector)}.json").read_text())["fingerprint"]
    command = ["train", "ranker", f"{out}/collection", "--config", variant.config, "--seed", str(seed)]
    command += ["--projector", projector, "--json"]
    command += [part for change in variant.changes for part in ("--set", change)]
    said = json.loads(spr(command, capture=True))
    row = {"table": table, "name": name, "seed": seed, "projector": projector}
    row |= {key: said[key] for key in ("fingerprint", "coarse", "refined", "seconds")}
    append(results, row)
    return row


def test(out: Path, results: Path, trained: Row, variant: Variant) -> None:
    """Measure a trained ranker on test, once."""
    if any((row["name"], row["seed"]) == (trained["name"], trained["seed"]) for row in read(results)):
        return
    collection, truth = f"{out}/collection", f"{out}/collection/annotations/test.json"
    models = ["--projector", trained["projector"], "--ranker", trained["fingerprint"]]
    corpus = ["--videos", f"{out}/collection/annotations/corpus_test.json", "--index", "flat"]
    # The published encoder knows positions: stored contexts would cost it a little.
    contexts = ["--contexts", "none"] if variant.config == PUBLISHED else []
    built = spr(["build", collection, *corpus, *models, *contexts, "--no-activate", "--json"], capture=True)
    run = f"{out}/runs/{trained['name'].replace(' ', '-').replace(',', '')}-{trained['seed']}.json"
    Path(run).parent.mkdir(parents=True, exist_ok=True)
    asked = ["eval", "--collection", collection, "--generation", json.loads(built)["id"], "--truth", truth]
    value = json.loads(spr([*asked, *variant.search, "--run-out", run, "--json"], capture=True))
    kept = ("coarse", "refined", "ceiling", "share", "retrieval", "slices", "confidence", "intervals")
    append(results, {"name": trained["name"], "seed": trained["seed"], **{k: value.get(k) for k in kept}})


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


def report(trained: Sequence[Row], tested: Sequence[Row]) -> list[str]:
    """Return the Markdown tables: mean and standard deviation over seeds of every variant."""
    main_rows = [row for row in trained if row["table"] == "main"]
    lines = ["## Test", "", *table(tested, MAIN, "refined")]
    lines += ["", "## Test, coarse proposals and ceiling, IoU >= 0.5", "", *ceilings(tested)]
    lines += ["", "## Test, by slice, IoU >= 0.5", "", *slices(tested)]
    lines += ["", "## Val", "", *table(main_rows, MAIN, "refined", seconds=True)]
    ablated = [row for row in trained if row["table"] == "ablation"]
    return [*lines, "", "## Val, ablation", "", *table(ablated, ABLATION, "refined", seconds=True)]


def table(rows: Sequence[Row], names: Mapping[str, Variant], stage: str, seconds: bool = False) -> list[str]:
    """Return a line a variant: NDCG@10 at three IoUs."""
    lines = [f"| variant | seeds | {' | '.join(MEASURES)} |{' s |' if seconds else ''}"]
    lines += [f"|---|---|{'---|' * len(MEASURES)}{'---|' if seconds else ''}"]
    for name, own in grouped(rows, names):
        cells = [spread([row[stage][measure] for row in own]) for measure in MEASURES]
        cells += [f"{statistics.median(row['seconds'] for row in own):.0f}"] if seconds else []
        lines.append(f"| {name} | {len(own)} | {' | '.join(cells)} |")
    return lines


def ceilings(rows: Sequence[Row]) -> list[str]:
    """Return a line a variant: coarse, refined, ceiling, the share of it, and what confidence is worth."""
    lines = ["| variant | coarse | refined | ceiling | share | ECE | AUROC of no answer |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for name, own in grouped(rows, MAIN):
        cells = [
            spread([row[s][MEASURES[1]] for row in own]) for s in ("coarse", "refined", "ceiling", "share")
        ]
        sure = [row["confidence"]["refined"] for row in own if (row["confidence"] or {}).get("refined")]
        cells += [spread([each["ECE"] for each in sure])] if sure else ["-"]
        cells += [spread([each["no-answer"]["AUROC"] for each in sure])] if sure else ["-"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def slices(rows: Sequence[Row]) -> list[str]:
    """Return a line a variant: its refined NDCG@10 on every slice of queries that have an answer."""
    names = sorted({name for row in rows for name in row["slices"] if name != "no-answer"})
    lines = [f"| variant | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for variant, own in grouped(rows, MAIN):
        cells = [spread([row["slices"][name]["refined"][MEASURES[1]] for row in own]) for name in names]
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    return lines


def grouped(rows: Sequence[Row], names: Mapping[str, Variant]) -> Iterator[tuple[str, list[Row]]]:
    """Yield the rows of every variant that has some."""
    for name in names:
        own = [row for row in rows if row["name"] == name]
        if own:
            yield name, own


def spread(values: Sequence[float]) -> str:
    """Return mean and standard deviation."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.3f} ({deviation:.3f})"


if __name__ == "__main__":
    main()
