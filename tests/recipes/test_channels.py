"""The table of channels: commands that the command line knows, and a line a slice."""

from pathlib import Path

import click
import pytest

from recipes import demo
from recipes.quality.channels import CHANNELS, prepared, table
from spr_cli.main import cli
from tests.trainer.evaluation.test_generalised import query
from trainer.collection.annotations import save_queries

COMMANDS = [
    *demo.commands(Path("o"), 12, 7),
    *prepared(Path("o"), 12, 7, 1.0),
    *prepared(Path("o"), 12, 7, 1.0, spoken=True),
]


@pytest.mark.parametrize("command", [command for _, command in COMMANDS], ids=[name for name, _ in COMMANDS])
def test_every_step_is_a_command_with_its_options(command: list[str]) -> None:
    found: click.Command | None = cli
    rest = list(command)
    while isinstance(found, click.Group):
        with found.make_context("spr", [], resilient_parsing=True) as context:
            found = found.get_command(context, rest.pop(0))
    assert found
    known = {option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in rest if word.startswith("--")} <= known


def test_a_line_a_slice_that_has_answers() -> None:
    def report(figure: float) -> dict[str, object]:
        part = {"queries": 5, "answerable": 5, "refined": {"NDCG@10,IoU>=0.5": figure}}
        return {"slices": {"precise": part, "no-answer": {"queries": 2, "answerable": 0}}}

    found = {heading: report(0.1 * row) for row, heading in enumerate(CHANNELS)}
    assert table(found)[2:] == ["| precise | 5 | 0.000 | 0.100 | 0.200 | 0.300 | 0.400 | 0.500 |"]


def test_the_demo_asks_for_what_its_world_writes(tmp_path: Path) -> None:
    made = [query(1, (0, 4), slice="precise"), query(2, (0, 4), slice="screen-text-only")]
    save_queries(tmp_path / "test.json", made)
    assert demo.asked(tmp_path / "test.json") == [["query 2"]]
