"""docs/performance-gpu.md from a run on a device."""

from collections.abc import Mapping
from typing import Any

from bench.gpu.parts import PARTS
from bench.page import rows_of, targets_table
from bench.targets import Goal, Target

TARGETS = (
    Target(
        "top-200 of 383,828 x 768, flat fp16, one query",
        (
            Goal("index", "flat", 0.8, "of the measured bandwidth", "of_bandwidth", at_least=True),
            Goal("index", "flat", 0.99, "recall@200", "recall@200", at_least=True),
        ),
        None,
        ("index", "floor"),
    ),
    Target(
        "ranking of 150 proposals, contexts in device memory",
        (
            Goal("ranking", "graph", 0.2, "ms"),
            Goal("ranking", "graph", 1, "x of operations one by one", "of_plain"),
        ),
        None,
        ("ranking", "floor"),
    ),
    Target(
        "ingest of 1080p H.264, tower of ViT-L/14's size",
        (Goal("films", "ingest", 430, "s of video a second", at_least=True),),
        None,
        ("films", "decode"),
    ),
    Target("tests that need a GPU", (Goal("suite", "failed", 0, "failed"),)),
)
_HEAD = """\
# Performance on a GPU

Measurement, written by `make gpu`; do not edit. It runs the tests that need a GPU, then measures, six
minutes at most.
"""


def page(report: Mapping[str, Any]) -> str:
    """Return the page: card, targets, a table of each part, and why a part was not run."""
    about = report["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in about["packages"].items())
    machine = (
        f"Measured {report['date']} on **{about['gpu']}**, {about['cores']} cores of {about['processor']}, "
        f"{about['system']}, Python {about['python']}. With {packages}.\n"
    )
    parts = [_HEAD, machine, "## Targets\n", targets_table(report, TARGETS)]
    for name, title in PARTS.items():
        found = report["stages"][name]
        parts += [f"## {name}: {title}\n", "\n".join(found["notes"]) + "\n" if found["notes"] else ""]
        parts += ["| what | figure |\n|---|---|", *rows_of(name, found), ""] if found["rows"] else []
    return "\n".join(parts)
