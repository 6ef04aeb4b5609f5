"""How long modules and functions are: `python -m tests.sizes [--strict] [FOLDER]`.

A module has at most 250 lines, a function at most 40 from its `def` to its end, without decorators.
Generated code is left out.
"""

import argparse
import ast
import sys
from collections.abc import Iterator
from pathlib import Path

LINES, FUNCTION = 250, 40
_NOT_OURS = {"build", "dist", "shared", "node_modules"}


def sources(root: Path) -> Iterator[Path]:
    """Yield every Python file below root that people wrote."""
    for path in sorted(root.rglob("*.py")):
        folders = path.relative_to(root).parts[:-1]
        hidden = any(part.startswith(".") or part in _NOT_OURS for part in folders)
        if not hidden and not path.stem.endswith(("_pb2", "_pb2_grpc")):
            yield path


def too_long(path: Path, root: Path) -> Iterator[str]:
    """Yield a line for the module and for each of its functions that is too long."""
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(root).as_posix()
    if (lines := text.count("\n")) > LINES:
        yield f"{name}: {lines} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION:
                yield f"{name}:{node.lineno}: {node.name} has {length} lines"


def main() -> int:
    """Print what is too long; with --strict return 1 if anything is."""
    parser = argparse.ArgumentParser(description="List modules and functions that are too long.")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if anything is too long")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parents[1])
    options = parser.parse_args()
    root = options.folder
    paths = list(sources(root))
    found = [line for path in paths for line in too_long(path, root)]
    print(*found, sep="\n", end="\n" if found else "")
    print(
        f"sizes: {len(paths)} modules; {len(found)} too long (a module has at most {LINES} lines, "
        f"a function {FUNCTION})"
    )
    return int(options.strict and bool(found))


if __name__ == "__main__":
    sys.exit(main())
