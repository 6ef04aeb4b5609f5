"""`spr plan`: what a corpus of a size needs, before anything is bought."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cores import cores
from spr_cli.options import AS_JSON, Number

if TYPE_CHECKING:
    from bench.planning.costs import EncoderCost

_POSITIVE = Number(0, 1e9, min_open=True)
_COUNT = click.IntRange(1, 1_000_000)
_PRICE = Number(0, 1e9)


@click.command()
@click.option("--hours", type=_POSITIVE, required=True, help="Of video.")
@click.option(
    "--encoder",
    default="openai/clip-vit-large-patch14",
    show_default=True,
    help="openai/clip-vit-base-patch32, or a directory, which is measured here.",
)
@click.option("--qps", type=_POSITIVE, default=1.0, show_default=True, help="Searches a second.")
@click.option("--index", type=click.Choice(["auto", "fast", "flat"]), default="auto", show_default=True)
@click.option("--shards", type=_COUNT, help="[default: of 3.2 million segments]")
@click.option("--replicas", type=_COUNT, default=2, show_default=True, help="Of each worker, at least.")
@click.option(
    "--contexts", type=click.Choice(["float16", "int8", "int5", "none"]), default="float16", show_default=True
)
@click.option("--hidden", type=_COUNT, default=768, show_default=True, help="Width of the ranker.")
@click.option("--host-gb", type=_POSITIVE, default=256, show_default=True, help="Memory of a host.")
@click.option("--ingest-cores", type=_COUNT, default=16, show_default=True)
@click.option("--gpus", type=click.IntRange(0), default=0, show_default=True, help="For ingest; 0: CPUs.")
@click.option("--lines", type=_COUNT, default=720, show_default=True, help="Of the videos, 16:9, 25 fps.")
@click.option("--core-price", type=_PRICE, default=20, show_default=True, help="Assumed: a month.")
@click.option("--memory-price", type=_PRICE, default=2.5, show_default=True, help="Assumed: a GB, a month.")
@click.option("--disk-price", type=_PRICE, default=0.08, show_default=True, help="Assumed: a GB, a month.")
@click.option("--gpu-price", type=_PRICE, default=0.8, show_default=True, help="Assumed: an hour.")
@AS_JSON
def command(encoder: str, as_json: bool, shards: int | None, **chosen: Any) -> None:
    """Reckon what a corpus needs: shards, replicas, memory, disk, hours of ingest, latency, monthly cost.

    Constants are those that `spr bench` measured, each with its source in bench/planning/constants.json; what
    lies beyond them is said. Prices are assumptions: give your own. Nothing is read but the encoder.

    \b
    spr plan --hours 1000 --qps 5
    spr plan --hours 100000 --encoder openai/clip-vit-base-patch32 --contexts int5 --gpus 8 --json
    """
    from bench.planning.plan import Asked, Prices, plan
    from spr_cli.output import print_json

    prices = Prices(**{name: chosen.pop(f"{name}_price") for name in ("core", "memory", "disk", "gpu")})
    found = plan(Asked(encoder=_encoder(encoder), shards=shards or 0, prices=prices, **chosen))
    if as_json:
        print_json(found)
    else:
        _print(found)


def _encoder(name: str) -> "EncoderCost":
    """Return what is known of an encoder, or what a directory's costs here."""
    from bench.planning.costs import EncoderCost
    from engine.errors import InvalidInput

    if not Path(name).is_dir():
        return EncoderCost.named(name)
    from spr_cli.doctor_encoder import findings

    first = next(findings(Path(name), "cpu"))
    facts: dict[str, Any] = dict(first.facts)
    if first.severity == "error" or "pictures_per_second" not in facts:
        raise InvalidInput(f"{name} cannot be planned with: {first.said}")
    seconds = cores() / max(facts["pictures_per_second"], 0.1)
    return EncoderCost(name, facts["width"], seconds)


def _print(found: dict[str, Any]) -> None:
    corpus, total, ingest = found["corpus"], found["total"], found["ingest"]
    latency, cost = found["latency_ms"], found["cost"]
    click.echo(f"{corpus['hours']:,g} hours, {corpus['segments']:,} segments of {corpus['dim']} numbers")
    _print_processes(found)
    store = f"of which features and pictures {total['store_gb']:,g}"
    disk = f"{total['memory_gb']:,g} GB of memory, {total['disk_gb']:,g} GB of disk, {store}"
    work = f"{ingest['cpu_hours']:,g} of cores, {ingest['gpu_hours']:,g} of GPUs"
    again = f"{latency['repeated']} ms for a query asked before (p99 {latency['repeated_p99']})"
    lines = (
        f"in all: {total['cores']:,} cores, {disk}",
        f"latency: {again}, {latency['new']} ms for a new one",
        f"ingest: {ingest['hours']:,g} hours ({work}); build: {ingest['build_hours']:,g} hours",
        f"cost: {cost['month']:,g} a month, {cost['ingest_once']:,g} once for ingest, at assumed prices",
    )
    for line in (*lines, *found["notes"]):
        click.echo(line)


def _print_processes(found: dict[str, Any]) -> None:
    from spr_cli.output import print_table

    index, ranker, rest = found["index"], found["ranker"], found["coordinator"]
    by_shard = f", {ranker['shards_each']} shards each" if ranker["groups"] > 1 else ""
    encoder = {"workers": ranker["encoders"], "memory_gb": ranker["encoder_gb"]}
    encoders = (("encoder", encoder, ranker["cores"], ""),) if ranker["encoders"] else ()
    processes = (
        ("index", index, 1, f"{index['shards']} x {index['segments_a_shard']:,}, {index['factory']}"),
        ("ranker", ranker, ranker["cores"], f"contexts of {ranker['contexts_gb']:,g} GB{by_shard}"),
        *encoders,
        ("coordinator", rest, 1, f"{rest['cpu_ms']} ms of CPU a search"),
    )
    headings = ("process", "workers", "cores", "GB memory", "GB disk", "each")
    rows = [
        (name, f"{one['workers']:,}", str(cores), f"{one['memory_gb']:,g}", f"{one.get('disk_gb', 0):,g}", of)
        for name, one, cores, of in processes
    ]
    print_table(headings, rows, right=headings[1:5])
