"""`spr corpus export`: the segments of a collection for other engines."""

from pathlib import Path

import click

from spr_cli.options import AS_JSON, COLLECTION


@click.command()
@click.argument("collection", type=COLLECTION)
@click.option("--parquet", "out", required=True, type=click.Path(path_type=Path), help="File to write.")
@click.option("--version", default="", help="Id or number.  [default: the current one]")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@AS_JSON
def command(collection: Path, out: Path, version: str, force: bool, as_json: bool) -> None:
    """Write the segments of COLLECTION as Parquet: a row a segment, with vector, span, texts and ids.

    Columns: video, segment, start, end (seconds), vector (float32, unit length: compare by inner product),
    said, written, uri, labels, date. The service may run meanwhile. Needs pip install 'spr-engine[parquet]'.

    \b
    spr corpus export c --parquet c.parquet
    spr corpus export c --parquet old.parquet --version 41
    duckdb -c "select video, start, said from 'c.parquet' where said like '%rocket%'"
    """
    from spr_cli.output import print_json
    from spr_cli.progress import Progress
    from trainer.formats.parquet import export_parquet

    with Progress(as_json) as progress:
        made, rows = export_parquet(collection, out, version, force, progress.tell)
    size = out.stat().st_size
    if as_json:
        told = {"version": made.id, "file": str(out), "videos": made.videos, "segments": rows, "bytes": size}
        print_json(told)
    else:
        click.echo(f"version {made.id} is in {out}: {rows:,} segments, {size / 1e6:.1f} MB")
