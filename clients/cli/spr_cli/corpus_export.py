"""`spr corpus export`: the segments of a collection for other engines."""

from pathlib import Path

import click

from spr_cli.options import AS_JSON, COLLECTION, Output


@click.command()
@click.argument("collection", type=COLLECTION)
@click.option("--parquet", type=Output(), help="File to write.")
@click.option("--lance", type=Output(), help="Lance data set to write, a directory.")
@click.option("--version", default="", help="Id or number.  [default: the current one]")
@click.option(
    "--force", is_flag=True, help="Replace the file that is there; write a data set's next version."
)
@AS_JSON
def command(
    collection: Path, parquet: Path | None, lance: Path | None, version: str, force: bool, as_json: bool
) -> None:
    """Write the segments of COLLECTION as Parquet or Lance: a row a segment, with vector, span, texts, ids.

    Columns: video, segment, start, end (seconds), vector (float32, unit length: compare by inner product),
    said, written, uri, labels, date. The service may run meanwhile. Needs pip install 'spr-engine[parquet]',
    or 'spr-engine[lance]'.

    \b
    spr corpus export c --parquet c.parquet
    spr corpus export c --parquet old.parquet --version 41
    spr corpus export c --lance c.lance
    duckdb -c "select video, start, said from 'c.parquet' where said like '%rocket%'"
    """
    from spr_cli.output import print_json
    from spr_cli.progress import Progress
    from trainer.formats.export import export
    from trainer.formats.lance import Lance
    from trainer.formats.parquet import Parquet

    out = parquet or lance
    if out is None or (parquet and lance):
        raise click.UsageError("give what to write: --parquet FILE or --lance DIRECTORY, one of them")
    with Progress(as_json) as progress:
        into = Parquet() if parquet else Lance()
        made, rows = export(collection, out, into, version, force, progress.tell)
    files = [out] if parquet else [path for path in out.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    if as_json:
        told = {"version": made.id, "file": str(out), "videos": made.videos, "segments": rows, "bytes": size}
        print_json(told)
    else:
        click.echo(f"version {made.id} is in {out}: {rows:,} segments, {size / 1e6:.1f} MB")
