"""The page of the Python client: classes, fields and methods with their docstrings, off the source."""

import ast
import textwrap
from collections.abc import Iterator
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "clients" / "python" / "spr_client"
NOTE = "Reference, written by `make docs-api` from the docstrings of `spr_client`."
# What is read first.
FIRST = ("Client", "AsyncClient", "Tls", "Options", "Filter", "SearchResult", "Moment")
Defined = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def page() -> str:
    """Return the text of the page."""
    defined = {
        node.name: node
        for path in sorted(SOURCES.glob("*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, Defined)
    }
    public = [name for name in _exported() if name in defined]
    lines = ["# The Python client", "", NOTE]
    for name in sorted(public, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST)):
        lines += _entry(defined[name])
    return "\n".join(lines) + "\n"


def _exported() -> list[str]:
    """Return the names of `__all__`, in its order."""
    tree = ast.parse((SOURCES / "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
    raise SystemExit("spr_client has no __all__")


def _entry(node: Defined) -> Iterator[str]:
    yield from ("", f"## {node.name}")
    if not isinstance(node, ast.ClassDef):
        yield from (*_signature(node.name, node), *_text(node))
        return
    yield from _text(node)
    fields = [one for one in node.body if isinstance(one, ast.AnnAssign)]
    if fields:
        yield from ("", "| field | type | default |", "|---|---|---|")
    for field in fields:
        default = f"`{ast.unparse(field.value)}`" if field.value else ""
        kind = ast.unparse(field.annotation).replace("|", "\\|")
        yield f"| `{ast.unparse(field.target)}` | `{kind}` | {default} |"
    for method in node.body:
        if not isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if method.name == "__init__":
            yield from _signature(node.name, method)
        elif not method.name.startswith("_"):
            yield from ("", f"### {node.name}.{method.name}")
            yield from (*_signature(method.name, method), *_text(method))


def _signature(name: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """Yield a block with a function's parameters, a line each."""
    if any(ast.unparse(one) == "property" for one in node.decorator_list):
        return
    wait = "await " if isinstance(node, ast.AsyncFunctionDef) and not _yields(node) else ""
    result = f" -> {ast.unparse(node.returns)}" if node.returns and node.name != "__init__" else ""
    parts = [part for part in _parameters(node.args) if part != "self"]
    yield from ("", "```python", f"{wait}{name}(")
    yield from (f"    {part}," for part in parts)
    yield from (f"){result}", "```")


def _yields(node: ast.AST) -> bool:
    return any(isinstance(one, ast.Yield | ast.YieldFrom) for one in ast.walk(node))


def _parameters(given: ast.arguments) -> Iterator[str]:
    defaults = [None] * (len(given.args) - len(given.defaults)) + list(given.defaults)
    yield from map(_parameter, given.args, defaults)
    if given.kwonlyargs:
        yield "*"
    yield from map(_parameter, given.kwonlyargs, given.kw_defaults)


def _parameter(one: ast.arg, default: ast.expr | None) -> str:
    return ast.unparse(one) + (f" = {ast.unparse(default)}" if default is not None else "")


def _text(node: Defined) -> Iterator[str]:
    """Yield a docstring, its indented examples as they are."""
    if (said := ast.get_docstring(node, clean=False)) is None:
        return
    first, _, rest = said.partition("\n")
    indented = " " * node.body[0].col_offset
    lines = [first, *(line.removeprefix(indented) for line in rest.split("\n"))]
    for part in "\n".join(lines).rstrip().split("\n\n"):
        if part.startswith(" "):
            yield from ("", "```python", *textwrap.dedent(part).split("\n"), "```")
        elif part:
            yield from ("", *textwrap.wrap(" ".join(part.split()), 100))
