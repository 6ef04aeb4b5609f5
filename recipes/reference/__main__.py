"""Write the API reference: `python -m recipes.reference [OUT]`; docs/api without OUT."""

import argparse
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=OUT)
    write(parser.parse_args().out)
