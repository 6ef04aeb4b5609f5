"""The tables of docs/quality.md, from nothing: a rendered hard world, every model, val, and test once.

    python -m recipes.quality [--out build/quality] [--seeds 1 2 3] [--only first|main|ablation|channels|...]

Each step is one `spr` command, printed before it runs. What is finished is kept while its command and all
before it are what they were, so a run that was stopped goes on where it was, and one of another world begins
anew. Val decides: what is measured on test changes nothing, and is measured once a model.
"""

import argparse
import tempfile
from pathlib import Path

from recipes.quality import channels
from recipes.quality.run import measure_first_stage, measure_on_test, prepare, train_ranker, trainings
from recipes.quality.tables import report
from recipes.quality.variants import FIRST
from recipes.steps import Steps


def main() -> None:
    """Make what is missing and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m recipes.quality", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/quality"))
    parser.add_argument("--videos", type=int, default=600)
    parser.add_argument("--world-seed", type=int, default=7)
    parser.add_argument("--minutes", type=float, default=10, help="of the encoder's training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--only", choices=["first", "main", "ablation", "channels", "spoken"])
    parser.add_argument("--collection", type=Path, help="measure the channels of this one, trained already")
    options = parser.parse_args()
    out: Path = options.out
    if options.collection:
        # Nothing is kept: the same commands of a collection that was trained anew have other answers.
        with tempfile.TemporaryDirectory() as folder:
            found = channels.searched(Steps(Path(folder)), options.collection)
        print("\n".join(channels.table(found)))
        return
    for name, folder, title in (
        ("channels", "texts", "## Test, by channels searched"),
        ("spoken", "spoken", "## Test, what is spoken in place of subtitles"),
    ):
        if options.only in (None, name):
            world = (options.videos, options.world_seed, options.minutes)
            found = channels.measure(out / folder, *world, spoken=name == "spoken")
            print("\n".join([title, "", *channels.table(found)]))
    if options.only in ("channels", "spoken"):
        return
    steps = Steps(out / "steps")
    prepare(steps, out, options.videos, options.world_seed, options.minutes)
    trained, tested, first = [], [], []
    for table, name, variant, seed in trainings(options.only, options.seeds):
        trained.append(train_ranker(steps, out, table, name, variant, seed))
        if table == "main":
            tested.append(measure_on_test(steps, out, trained[-1], variant))
    for seed in options.seeds if options.only in (None, "first") else ():
        for name, variant in FIRST.items():
            first.append(measure_first_stage(steps, out, name, variant, seed))
    print("\n".join(report(trained, tested, first)))


if __name__ == "__main__":
    main()
