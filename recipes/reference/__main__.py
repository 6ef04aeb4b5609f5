"""Write the API reference: `python -m recipes.reference [OUT]`; docs/api without OUT."""

import sys
from pathlib import Path

from recipes.reference.protos import pages
from recipes.reference.python import page

OUT = Path(__file__).parents[2] / "docs" / "api"


def write(out: Path) -> None:
    """Write every page under `out`."""
    out.mkdir(parents=True, exist_ok=True)
    for name, text in {**pages(), "python.md": page()}.items():
        (out / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT)
