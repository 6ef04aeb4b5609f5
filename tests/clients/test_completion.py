"""What a shell is told to complete."""

import subprocess
from pathlib import Path

import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from spr_cli.main import cli


def completed(*words: str) -> set[tuple[str, str]]:
    """Return the type and value of what completes the last of the words."""
    *before, incomplete = words
    found = BashComplete(cli, {}, "spr", "_SPR_COMPLETE").get_completions(before, incomplete)
    return {(one.type, str(one.value)) for one in found}


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["sea"], ("plain", "search")),
        (["admin", "act"], ("plain", "activate")),
        (["search", "red", "--prog"], ("plain", "--progressive")),
        (["search", "red", "--format", "fc"], ("plain", "fcpxml")),
        (["build", ""], ("dir", "")),
        (["eval", "--html", "a"], ("file", "a")),
        (["eval", "comp"], ("plain", "compare")),
        (["eval", "--ht"], ("plain", "--html")),
        (["eval", "run"], ("file", "run")),
        (["serve", "coo"], ("plain", "coordinator")),
        (["serve", "top"], ("file", "top")),
        (["serve", "--no-p"], ("plain", "--no-page")),
        (["completion", "z"], ("plain", "zsh")),
    ],
    ids=" ".join,
)
def test_words_are_completed(words: list[str], wanted: tuple[str, str]) -> None:
    assert wanted in completed(*words)


def test_completing_a_command_imports_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.import_module", lambda name: pytest.fail(f"{name} was imported"))
    assert ("plain", "search") in completed("s")


@pytest.mark.parametrize(("shell", "first"), [("bash", "# spr"), ("zsh", "#compdef spr"), ("fish", "# spr")])
def test_a_script_says_where_to_put_it(shell: str, first: str, tmp_path: Path) -> None:
    said = CliRunner().invoke(cli, ["completion", shell])
    assert said.exit_code == 0
    assert said.output.startswith(first)
    assert f"# spr completion {shell} > ~/." in said.output
    if shell == "bash":
        script = tmp_path / "spr"
        script.write_text(said.output)
        subprocess.run(["bash", "-n", str(script)], check=True)
