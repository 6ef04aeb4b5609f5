"""The gate of `spr admin activate`: two prepared versions, measured on the same judged queries."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from spr_cli.admin_calls import end

if TYPE_CHECKING:
    from spr.v1.admin_service_pb2 import ActivateVersionResponse
    from trainer.collection.annotations import JudgedQuery


def passed(
    queries: "Sequence[JudgedQuery]",
    prepared: "ActivateVersionResponse",
    collection: str,
    searches: str,
    least: float,
    as_json: bool,
) -> dict[str, Any]:
    """Measure the active version and the prepared one; return both figures, or end the command.

    Ends with 3 where NDCG changes by less than `least`, or where a query went unanswered.
    """
    from trainer.evaluation.gate import MEASURE, measure

    figures = []
    # The prepared one first: it stays for a while after its last query only.
    for version in (prepared.version, prepared.previous):
        figure = measure(searches, queries, collection, version)
        click.echo(f"version {version}: {MEASURE} {figure:.4f} over {len(queries)} queries", err=True)
        figures.append(figure)
    after, before = figures
    if not any(figures):
        sentence = "neither version finds anything of what --gate asks for: is it of this collection?"
        end(sentence, "GATE_REFUSED", 3, as_json)
    told = {"measure": str(MEASURE), "before": before, "after": after, "change": after - before}
    if after - before < least:
        sentence = (
            f"version {prepared.version} is not activated: {MEASURE} would change by {after - before:+.4f}, "
            f"from {before:.4f} to {after:.4f}, and {least:+.4f} is the least allowed; "
            f"version {prepared.previous} stays active"
        )
        end(sentence, "GATE_REFUSED", 3, as_json)
    return told
