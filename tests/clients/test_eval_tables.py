import pytest
from click.testing import CliRunner

from spr_cli.eval_tables import show_comparison
from spr_cli.main import cli
from trainer.evaluation.matching import PROTOCOLS


def test_names_of_files_and_slices_are_no_markup(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    row = {"a": 0.1, "b": 0.2, "difference": 0.1, "interval": (0.0, 0.2), "p": 0.04}
    value = {
        "stage": "refined",
        "answerable": 3,
        "measures": {"NDCG@10,IoU>=0.5": row},
        "slices": {"odd[/red]": {"queries": 3, "measures": {"NDCG@10,IoU>=0.5": row}}},
    }
    show_comparison(value, ("close[/red].json", "\x1b[31mred.json"))
    out = capsys.readouterr().out
    assert r"refined: A close[/red].json, B \x1b[31mred.json; 3 queries" in out
    assert "odd[/red]" in out


def test_help_shows_an_example_of_every_protocol_and_of_channels() -> None:
    said = CliRunner().invoke(cli, ["eval", "--help"]).output
    for name in PROTOCOLS.keys() - {"spr"}:
        assert f"--protocol {name}\n" in said
    assert "--in said --in written\n" in said
