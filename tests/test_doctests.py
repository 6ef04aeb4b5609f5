"""Examples in docstrings say what the code does: every module with one is run as a doctest."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = {"engine": ROOT, "workers": ROOT, "trainer": ROOT, "bench": ROOT, "recipes": ROOT}
SOURCES |= {"spr_client": ROOT / "clients" / "python", "spr_cli": ROOT / "clients" / "cli"}


def modules() -> list[str]:
    """Every module whose text holds an example; only these are loaded."""
    found = [
        ".".join(path.relative_to(root).with_suffix("").parts)
        for package, root in SOURCES.items()
        for path in sorted((root / package).rglob("*.py"))
        if ">>> " in path.read_text(encoding="utf-8")
    ]
    return [name.removesuffix(".__init__") for name in found]


@pytest.mark.parametrize("name", modules())
def test_examples_are_true(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0


def test_examples_are_found() -> None:
    assert {
        "trainer.evaluation.measures",
        "workers.index.factory",
        "workers.ranker.projection.segments",
    } <= set(modules())
