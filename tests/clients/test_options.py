import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from spr_cli import (
    build,
    corpus_export_tvr_ranking,
    corpus_import_tvr_ranking,
    eval_compare,
    eval_measure,
    import_checkpoint,
    ingest,
)
from spr_cli.main import cli
from spr_cli.options import ADDRESS, SECONDS, WORDS, Output
from tests.clients.test_main import COMMANDS
from trainer.evaluation.compare import compare_files
from trainer.evaluation.evaluation import EvalConfig
from trainer.formats.checkpoints import Choices
from trainer.formats.layout import Layout
from trainer.formats.tvr_export import export_tvr_ranking
from trainer.generation.build import BuildConfig
from trainer.ingest.options import IngestOptions


@pytest.mark.parametrize(
    ("command", "callee"),
    [
        (build.command, BuildConfig),
        (corpus_export_tvr_ranking.command, export_tvr_ranking),
        (corpus_import_tvr_ranking.command, Layout),
        (eval_compare.command, compare_files),
        (eval_measure.command, EvalConfig),
        (import_checkpoint.command, Choices),
        (ingest.command, IngestOptions),
    ],
    ids=["build", "export", "import", "compare", "measure", "checkpoint", "ingest"],
)
def test_what_a_command_hands_on_is_taken(command: click.Command, callee: Callable[..., Any]) -> None:
    assert command.callback is not None
    read = inspect.signature(inspect.unwrap(command.callback)).parameters
    given = {parameter.name for parameter in command.params if parameter.expose_value}
    handed = given - read.keys()
    assert handed
    assert handed <= inspect.signature(callee).parameters.keys()


@pytest.mark.parametrize("value", ["0", "-1", "nan", "-inf", "ten", ""])
def test_no_time_to_wait_is_refused(value: str) -> None:
    with pytest.raises(click.BadParameter, match="write"):
        SECONDS.convert(value, None, None)


def test_seconds_may_have_no_end() -> None:
    assert SECONDS.convert("2.5", None, None) == 2.5
    assert SECONDS.convert("1e10", None, None) is None
    assert SECONDS.convert("inf", None, None) is None


@pytest.mark.parametrize(
    "value", ["", "127.0.0.1", ":7400", "127.0.0.1:99999", "host:0", "a b:7400", "::1:7400"]
)
def test_what_is_no_address_is_refused(value: str) -> None:
    with pytest.raises(click.BadParameter, match="write HOST:PORT"):
        ADDRESS.convert(value, None, None)


@pytest.mark.parametrize(
    "value", ["127.0.0.1:7400", "[::1]:1", "a-b.example:65535", "unix:/run/spr", "dns:///spr"]
)
def test_addresses_stay_as_they_are(value: str) -> None:
    assert ADDRESS.convert(value, None, None) == value


def test_text_is_unicode() -> None:
    assert WORDS.convert("a red ball, ein roter Ball, 赤い玉", None, None).startswith("a red")
    with pytest.raises(click.BadParameter, match=r"b'red\\xff' is not UTF-8 from character 4 on"):
        WORDS.convert("red\udcff", None, None)


OUTPUTS = {"out", "plot", "html", "reliability", "run_out", "parquet", "lance", "cache", "ready_file"}


def test_where_nothing_can_be_written_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    kind = Output(dir_okay=False)
    assert kind.convert(str(tmp_path / "new" / "folder" / "out"), None, None) == tmp_path / "new/folder/out"
    with pytest.raises(click.BadParameter, match="file is no directory that may be; choose another place"):
        kind.convert(str(tmp_path / "file" / "out"), None, None)
    with pytest.raises(click.BadParameter, match="is a directory"):
        kind.convert(str(tmp_path / "folder"), None, None)
    monkeypatch.setattr("os.access", lambda path, how: False)
    with pytest.raises(click.BadParameter, match="out cannot be written"):
        kind.convert(str(tmp_path / "out"), None, None)


def test_a_directory_that_may_be_filled_needs_no_parent_that_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, how: how != os.W_OK or Path(path) == tmp_path)
    assert Output(file_okay=False).convert(str(tmp_path), None, None) == tmp_path
    with pytest.raises(click.BadParameter, match="cannot be written"):
        Output(file_okay=False, beside=True).convert(str(tmp_path), None, None)


def test_no_device_or_pipe_is_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "file").open("wb") as file:
        (tmp_path / "stdout").symlink_to(f"/proc/self/fd/{file.fileno()}")
        assert (tmp_path / "stdout").is_file()
        for opened in (str(tmp_path / "stdout"), f"/dev/fd/{file.fileno()}"):
            with pytest.raises(click.BadParameter, match="is a device or a pipe"):
                Output(dir_okay=False).convert(opened, None, None)
    # A disk in memory has files as others have.
    (tmp_path / "memory").symlink_to("/dev/shm")
    assert Output(file_okay=False).convert(str(tmp_path / "memory"), None, None) == tmp_path / "memory"
    for path in (tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(click.BadParameter, match="is a device or a pipe"):
            Output(dir_okay=False).convert(str(path), None, None)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_what_is_written_at_the_end_is_checked_first(words: tuple[str, ...]) -> None:
    for parameter in COMMANDS[words].params:
        if parameter.name in OUTPUTS and isinstance(parameter.type, click.Path):
            assert isinstance(parameter.type, Output), parameter.name


@pytest.mark.parametrize("words", [("build",), ("train", "projector"), ("train", "ranker")], ids=" ".join)
def test_a_collection_that_cannot_be_written_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr("os.access", lambda path, how: how != os.W_OK)
    found = CliRunner().invoke(COMMANDS[words], [str(tmp_path)])
    assert found.exit_code == 2
    assert f"'{tmp_path}' is not writable" in found.output


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        ("ingest . --collection c --watch --transcribe none --fps 2", "--fps, --transcribe"),
        ("ingest . --collection c --watch --clip-encoder none", "--clip-encoder"),
        ("ingest . --collection c --watch --no-pictures", "--pictures"),
        ("admin matches --after 3 --count 1", "--after, --count"),
        ("admin matches --follow --limit 3", "--limit"),
        ("admin status --count 2", "--count"),
        ("annotate 127.0.0.1:1 file --port 7500", "--port"),
        ("serve file --port 7500", "--port"),
        ("videos . --address 127.0.0.1:1", "--address"),
    ],
)
def test_what_would_do_nothing_is_refused(
    words: str, flags: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("a ball\n")
    refused = CliRunner().invoke(cli, words.split())
    assert refused.exit_code == 2
    assert f"; leave out {flags}\n" in refused.output.replace("\n  ", " ")
