"""`spr bench`: what each stage costs on this machine."""

import click


@click.command()
@click.option("--vectors", type=click.IntRange(min=10_000), default=100_000, show_default=True)
@click.option("--dim", type=click.IntRange(min=32), default=512, show_default=True)
@click.option(
    "--index",
    "indexes",
    multiple=True,
    default=("SQfp16", "ivfflat"),
    show_default=True,
    help="An index to compare with flat; may be repeated.",
)
@click.option("--runs", type=click.IntRange(min=5), default=30, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def command(vectors: int, dim: int, indexes: tuple[str, ...], runs: int, seed: int, as_json: bool) -> None:
    """Time retrieval and proposals on made-up vectors, beside the floor of one pass over memory.

    Medians of single queries on one thread, in one run: compare the ratios, not runs on different days.

    \b
    spr bench
    spr bench --vectors 383828 --dim 768 --index ivfpq --json
    """
    import json
    import os
    from dataclasses import asdict

    # Before FAISS is loaded: it reads the number of threads once.
    os.environ["OMP_NUM_THREADS"] = "1"
    from trainer.bench import bench

    rows = bench(vectors, dim, indexes, runs, seed)
    if as_json:
        click.echo(json.dumps({"vectors": vectors, "dim": dim, "stages": [asdict(row) for row in rows]}))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("stage", "ms a query", "recall@200", "built in s", title=f"{vectors} x {dim}, one thread")
    for row in rows:
        recall = "" if row.recall is None else f"{row.recall:.3f}"
        build = "" if row.build is None else f"{row.build:.1f}"
        table.add_row(row.stage, f"{row.milliseconds:.3f}", recall, build)
    Console().print(table)
