"""Pages keep to their width, their links lead somewhere, and what they name exists."""

import ast
import functools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from spr_cli.main import cli

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "clients" / "python" / "README.md",
    ROOT / "clients" / "node" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
WRITTEN_BY_A_PROGRAM = {
    ROOT / "docs" / "performance.md",
    ROOT / "docs" / "performance-gpu.md",
    ROOT / "docs" / "performance" / "stages.md",
    *(ROOT / "docs" / "api").glob("*.md"),
}
WIDTH = 100
SECTIONS = ("Reference", "Measurement", "History")
TOPS = "bench clients deploy docs engine protos recipes tests trainer workers".split()

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+(?:\n[^`\n]+)*)`")
_TEST = re.compile(r"tests/[\w/]+\.py::\w+")
_PATH = re.compile(rf"(?:{'|'.join(TOPS)})/[\w./-]*|[\w-]+\.(?:toml|md)")


class Line(NamedTuple):
    """A line of a page. block: it is in a fenced or indented block."""

    number: int
    text: str
    block: bool


def lines(page: Path) -> Iterator[Line]:
    fenced = False
    for number, text in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = text.lstrip().startswith("```")
        yield Line(number, text, fenced or fence)
        fenced ^= fence


def prose(page: Path) -> str:
    return "\n".join(line.text for line in lines(page) if not line.block)


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings get: lower case, spaces as hyphens, no other marks."""
    headings = (line.text for line in lines(page) if not line.block and line.text.startswith("#"))
    titles = (re.sub(r"[^\w\- ]", "", heading.lstrip("# ").lower()) for heading in headings)
    return {title.replace(" ", "-") for title in titles}


def named(page: Path) -> set[str]:
    """Return what a page's prose has in backticks, on one line each."""
    return {" ".join(found.split()) for found in _CODE.findall(prose(page))}


def commands(page: Path) -> Iterator[str]:
    """Yield every `spr ...` that a page shows, in blocks and in backticks."""
    block = "\n".join(line.text for line in lines(page) if line.block).replace("\\\n", " ")
    for line in block.splitlines():
        text = line.strip().removeprefix("$ ")
        if text.startswith("spr "):
            yield text
    yield from sorted(found for found in named(page) if found.startswith("spr "))


def ids(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if page not in WRITTEN_BY_A_PROGRAM], ids=ids)
def test_lines_are_short(page: Path) -> None:
    long = [
        f"{line.number}: {line.text}"
        for line in lines(page)
        if len(line.text) > WIDTH and not line.text.startswith("|") and not _LINK.search(line.text)
    ]
    assert not long


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=ids)
def test_a_page_says_what_it_is(page: Path) -> None:
    first = next(part for part in prose(page).split("\n\n")[1:] if part.strip())
    assert page in WRITTEN_BY_A_PROGRAM or first.startswith(SECTIONS)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_files_that_are_named_exist(page: Path) -> None:
    """Paths that begin with a directory of the checkout, and configs and pages by their name."""
    for name in named(page):
        path = name.partition("::")[0]
        if _PATH.fullmatch(path) and path.partition("/")[0] in TOPS:
            assert (ROOT / path).exists(), name


@functools.cache
def functions(module: Path) -> set[str]:
    if not module.exists():
        return set()
    tree = ast.parse(module.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def elsewhere(function: str) -> str:
    """Return where a test is that has moved."""
    found = [path for path in (ROOT / "tests").rglob("test_*.py") if function in functions(path)]
    return f" is now in {found[0].relative_to(ROOT)}" if found else " is gone"


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_tests_that_are_named_exist(page: Path) -> None:
    for name in _TEST.findall(page.read_text(encoding="utf-8")):
        path, _, function = name.partition("::")
        assert function in functions(ROOT / path), f"{name}{elsewhere(function)}"


def test_every_promise_names_a_test() -> None:
    rows = [line.text for line in lines(ROOT / "docs" / "guarantees.md") if line.text.startswith("|")]
    promises = [row for row in rows if not re.fullmatch(r"\|[- |]+\|", row) and "| test |" not in row]
    assert len(promises) > 50
    assert [row for row in promises if not _TEST.search(row)] == []


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_commands_are_those_of_the_program(page: Path) -> None:
    wrong = {text: fault for text in commands(page) if (fault := misused(text))}
    assert not wrong


def misused(text: str) -> str:
    """Return what is wrong with the names of a command and its options, "" if nothing is.

    The command is not run; values in capitals stand for any.
    """
    words = shlex.split(re.split(r"\s{2,}|\s[|>&;(#]|\s#", text)[0].removesuffix(" ..."), comments=True)[1:]
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        if found is None:
            break
        command, words = found, words[1:]
    options = _options(command)
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in options]
    if isinstance(command, click.Group) and words and not options & set(words) and not _defaults(command):
        return f"no command {words[0]}"
    return f"no option {unknown[0]}" if unknown else ""


def _defaults(group: click.Group) -> bool:
    """Whether a group's command may be left out: `spr serve topology.toml`, `spr eval run.json`."""
    return group.name in ("serve", "eval") or bool(
        {"all", "measure"} & set(group.list_commands(click.Context(group)))
    )


def _options(command: click.Command) -> set[str]:
    found = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            if name in ("all", "measure"):
                inner = command.get_command(click.Context(command), name)
                assert inner is not None
                found |= _options(inner)
    return found | {"--help", "--version"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("spr serch 'a red ball'", "no command serch"),
        ("spr build c --shard 2", "no option --shard"),
        ("spr admin stats", "no command stats"),
        ("spr serve topology.toml --json", ""),
        ("spr serve --prot 7500", "no option --prot"),
        ("spr search 'a -- b' --top 3 | jq .moments", ""),
        ("spr eval a.json --run-out b.json", ""),
    ],
)
def test_a_wrong_command_is_seen(text: str, fault: str) -> None:
    assert misused(text) == fault
