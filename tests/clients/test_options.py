import inspect
from collections.abc import Callable
from typing import Any

import click
import pytest

from spr_cli import (
    build,
    corpus_export_tvr_ranking,
    corpus_import_tvr_ranking,
    eval_compare,
    eval_measure,
    import_checkpoint,
    ingest,
)
from spr_cli.options import ADDRESS, SECONDS, WORDS
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
