"""Steps of a recipe: done once, and anew when anything before them changed."""

import sys
from pathlib import Path

import pytest

from recipes.steps import Steps

SAY = "import sys; print(sys.argv[1:]); sys.exit('fail' in sys.argv)"


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    return Steps(tmp_path / "steps", [sys.executable, "-c", SAY])


def test_a_step_is_done_once_with_its_command_key_and_what_is_before(steps: Steps) -> None:
    done: list[str] = []

    def step(name: str, identity: str, after: tuple[str, ...] = ()) -> str:
        def make() -> str:
            done.append(name)
            return identity

        return steps.once(name, [identity], make, after=after)

    assert [step("a", "1"), step("b", "2", ("a",)), step("c", "3", ("b",))] == ["1", "2", "3"]
    assert [step("a", "1"), step("b", "2", ("a",)), step("c", "3", ("b",))] == ["1", "2", "3"]
    assert done == ["a", "b", "c"]
    # Another first step: everything behind it, though their own commands are the same.
    step("a", "other"), step("b", "2", ("a",)), step("c", "3", ("b",))
    assert done[3:] == ["a", "b", "c"]


def test_output_is_kept_where_it_is_json(steps: Steps, capfd: pytest.CaptureFixture[str]) -> None:
    said = [steps.run("a", ["train", "--json"]) for _ in range(2)]
    assert said == ["['train', '--json']\n"] * 2
    assert steps.run("a", ["train", "--json"], key="other") == said[0]
    assert capfd.readouterr().err.count("$ spr train --json") == 2


def test_what_failed_or_was_cut_off_is_not_done(steps: Steps) -> None:
    with pytest.raises(SystemExit) as left:
        steps.run("a", ["fail"])
    assert left.value.code == 1
    assert not (steps.folder / "a.json").exists()
    steps.run("b", ["x", "--json"])
    for broken in ('{"hash": "', "[]", "null", "e3b0c44298fc1c14"):
        (steps.folder / "b.json").write_text(broken)
        assert steps.run("b", ["x", "--json"]) == "['x', '--json']\n"
