"""The `spr` command as a shell sees it: what is said, and the exit code."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from engine.errors import Mismatch
from spr_cli import main
from spr_cli.lazy import LazyGroup
from spr_cli.serve import _json_errors

HELD = {"torch", "faiss", "grpc", "rich", "numpy", "google.protobuf"}


def leaves(
    group: click.Command, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(group, click.Group):
        yield words, group
        return
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        yield from leaves(found, (*words, name))


COMMANDS = dict(leaves(main.cli))


def run(monkeypatch: pytest.MonkeyPatch, *args: str) -> int:
    monkeypatch.setattr(sys, "argv", ["spr", *args])
    with pytest.raises(SystemExit) as end:
        main.main()
    return int(end.value.code or 0)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_shows_an_example_of_itself(words: tuple[str, ...]) -> None:
    # `spr eval` and `spr serve` measure and serve all without being told.
    said = " ".join(("spr", *(word for word in words if word not in ("measure", "all"))))
    text = COMMANDS[words].help or ""
    assert any(line.strip().startswith(said) for line in text.splitlines())


def test_every_group_shows_examples_of_commands_that_exist() -> None:
    for name in main.cli.list_commands(click.Context(main.cli)):
        group = main.cli.get_command(click.Context(main.cli), name)
        if not isinstance(group, click.Group):
            continue
        shown = re.findall(rf"^ *spr {name} +(\S+)", group.help or "", re.MULTILINE)
        known = {*group.list_commands(click.Context(group)), "--collection", "topology.toml"}
        assert shown
        assert known.issuperset(shown)


# What runs until it is stopped, and what prints a file for another program.
WITHOUT_JSON: set[tuple[str, ...]] = {
    ("serve", role) for role in ("coordinator", "encoder", "index", "library", "page", "ranker")
}
WITHOUT_JSON |= {("mcp",), ("completion",)}


@pytest.mark.parametrize("words", sorted(COMMANDS.keys() - WITHOUT_JSON), ids=" ".join)
def test_every_command_can_answer_as_json(words: tuple[str, ...]) -> None:
    assert any("--json" in parameter.opts for parameter in COMMANDS[words].params)


def test_no_range_of_numbers_takes_what_is_none() -> None:
    ranges = [
        parameter
        for command in COMMANDS.values()
        for parameter in command.params
        if isinstance(parameter.type, click.FloatRange)
    ]
    assert len(ranges) > 10
    for parameter in ranges:
        with pytest.raises(click.BadParameter, match="nan is not in the range"):
            parameter.type.convert("nan", parameter, None)


def test_no_option_takes_any_number_at_all() -> None:
    """A length of no seconds, of fewer, or of "nan" passes for one where nothing says its range."""
    free = [
        f"{' '.join(words)} {parameter.opts[0]}"
        for words, command in COMMANDS.items()
        for parameter in command.params
        if parameter.type is click.FLOAT
    ]
    assert free == []


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["serch"], "search"),
        (["ingets"], "ingest"),
        (["admin", "stauts"], "status"),
        (["train", "rank"], "ranker"),
    ],
    ids=["search", "ingest", "status", "ranker"],
)
def test_an_unknown_command_names_the_nearest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: list[str], meant: str
) -> None:
    assert run(monkeypatch, *typed) == 2
    said = capsys.readouterr().err
    assert f"No such command '{typed[-1]}'" in said
    assert f"Did you mean '{meant}'?" in said


def test_the_first_word_of_a_name_finds_all_that_begin_with_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "corpus", "import") == 2
    said = capsys.readouterr().err
    assert "Did you mean 'import-tvr-ranking' or 'import-moments'?" in said
    assert run(monkeypatch, "") == 2
    assert "Did you mean" not in capsys.readouterr().err
    assert "'export'" not in said


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "spr: stopped by Ctrl-C.\n"),
        (Mismatch("a\x1b[31m.mp4 has two\nlines"), 3, "spr: a\\x1b[31m.mp4 has two\nlines\n"),
        (
            PermissionError(13, "Permission denied", "c/CURRENT"),
            2,
            "run as its owner, or change its permissions.\n",
        ),
        (OSError(28, "No space left on device"), 4, "make room and run the same command again.\n"),
        (MemoryError(), 4, "where there is more, or beside less, or with a higher limit.\n"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), 4, "a higher limit.\n"),
        (OSError(12, "Cannot allocate memory"), 4, "with a higher limit.\n"),
        (RuntimeError("operator torchvision::nms does not exist"), 4, ": pip uninstall torchvision.\n"),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), 4, "a higher limit.\n"),
        (click.BadParameter("no \x9b31m"), 2, "Error: Invalid value: no \\x9b31m\n"),
        (click.exceptions.Exit(1), 1, ""),
    ],
    ids=[
        "interrupt",
        "refusal",
        "file",
        "disk",
        "memory",
        "tensor",
        "mapping",
        "torchvision",
        "library",
        "usage",
        "exit",
    ],
)
def test_what_ends_a_command_is_a_sentence_and_a_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: BaseException,
    code: int,
    said: str,
) -> None:
    @click.command()
    def broken() -> None:
        raise raised

    monkeypatch.setattr(LazyGroup, "get_command", lambda *_: broken)
    assert run(monkeypatch, "search") == code
    found = capsys.readouterr().err
    assert found.lstrip("\n").endswith(said)
    assert "Traceback" not in found


def test_a_defect_shows_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def broken() -> None:
        raise OSError("no file at all")

    monkeypatch.setattr(LazyGroup, "get_command", lambda *_: broken)
    monkeypatch.setattr(sys, "argv", ["spr", "search"])
    with pytest.raises(OSError, match="no file at all"):
        main.main()


def test_text_that_is_not_utf8_is_a_sentence() -> None:
    command: list[str | bytes] = [sys.executable, "-m", "spr_cli.main", "search", b"red\xff"]
    ended = subprocess.run(command, capture_output=True, check=False)
    assert ended.returncode == 2
    assert rb"b'red\xff' is not UTF-8" in ended.stderr
    assert b"Traceback" not in ended.stderr


def test_ctrl_c_ends_a_search_that_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        command = [
            sys.executable,
            "-m",
            "spr_cli.main",
            "search",
            "red",
            "--address",
            address,
            "--timeout",
            "inf",
        ]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as asked:
            peer, _ = silent.accept()
            asked.send_signal(signal.SIGINT)
            _, said = asked.communicate(timeout=300)
            peer.close()
    assert said.strip() == "spr: stopped by Ctrl-C."
    assert asked.returncode == 130


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, spr_cli.main as m; sys.argv = ['spr', '--help']\n"
        "try: m.main()\n"
        f"finally: print(sorted({HELD} & set(sys.modules)), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.stderr == "[]\n"
    assert "Search for moments in video" in ended.stdout


def test_a_search_loads_what_a_client_needs_and_nothing_heavy() -> None:
    heavy = {"numpy", "torch", "faiss", "transformers", "onnxruntime", "rich.console", "uvloop"}
    code = f"import sys, spr_cli.search, spr_client; print(sorted({heavy} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


def test_a_service_whose_log_is_json_says_so_of_what_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    for error in (MemoryError(), Mismatch("another model")):
        with pytest.raises(SystemExit), _json_errors():
            raise error
        assert json.loads(capsys.readouterr().err)["level"] == "error"
