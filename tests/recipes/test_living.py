"""What the demo shows of a corpus that lives: what it asks, when it fails, and what it leaves."""

import json
import sys
from pathlib import Path

import pytest

from engine.corpus import open_corpus
from recipes.demo import TOPOLOGY, last_words
from recipes.living import add_find_delete, content
from recipes.steps import Steps
from tests.trainer.library.living import collection, ingested
from trainer.generation.build import BuildConfig, build
from trainer.library.adding import add
from trainer.library.compacting import compact
from trainer.library.deleting import delete
from trainer.library.kits import Kits

VIDEO = "videos/new"
# A program that keeps its videos in the file that is its first argument. deaf: it adds nothing; stubborn: it
# deletes nothing.
PROGRAM = """
import json, pathlib, sys
kept, mood, *words = sys.argv[1:]
kept = pathlib.Path(kept)
if words[0] == "corpus":
    folder = pathlib.Path(words[2]) / "annotations"
    folder.mkdir(parents=True)
    queries = [{"query_id": n, "query": f"a {kind} question", "slice": kind, "relevant_moment": []}
               for n, kind in enumerate(("imprecise", "precise", "precise"))]
    (folder / "train.json").write_text(json.dumps(queries))
elif words[:2] == ["admin", "add"]:
    kept.write_text("" if mood == "deaf" else "videos/new")
    print(json.dumps({"video_ids": ["videos/new"]}))
elif words[:2] == ["admin", "delete"] and mood != "stubborn":
    kept.write_text("")
elif words[0] == "search":
    print("1  other  0:01\\n2 ", kept.read_text(), " 0:02")
"""


def shown(tmp_path: Path, mood: str) -> None:
    steps = Steps(tmp_path / "steps", [sys.executable, "-c", PROGRAM, str(tmp_path / "kept"), mood])
    add_find_delete(steps, tmp_path / "new", "127.0.0.1:1", "127.0.0.1:2")


def test_a_video_is_added_found_deleted_and_gone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shown(tmp_path, "well")
    out, err = capfd.readouterr()
    commands = [line.split()[2:4] for line in err.splitlines() if line.startswith("$ spr")]
    assert [" ".join(words) for words in commands] == [
        "corpus render",
        "admin add",
        "search 'a",
        "admin delete",
        "search 'a",
        "admin versions",
    ]
    assert err.count("'a precise question'") == 2
    assert f"{VIDEO} was found" in out
    assert "no longer finds it" in out
    shown(tmp_path, "well")
    assert "kept    new" in capfd.readouterr().err


@pytest.mark.parametrize(("mood", "why"), [("deaf", "does not find it"), ("stubborn", "still finds it")])
def test_what_is_not_shown_ends_the_demo_with_a_sentence(tmp_path: Path, mood: str, why: str) -> None:
    with pytest.raises(SystemExit, match=f"{VIDEO}.*{why}"):
        shown(tmp_path, mood)


def test_an_evaluation_is_kept_while_the_same_videos_are_searched(tmp_path: Path) -> None:
    path = collection(tmp_path / "c", {"a": (1, 9), "b": (2, 9), "c": (3, 5)})
    before, version = content(path), open_corpus(path).id
    ingested(path, {"new": (4, 9)})
    add(path, ["new"], Kits("cpu"))
    assert content(path) != before
    delete(path, ["new"])
    compact(path)
    assert open_corpus(path).id != version
    assert content(path) == before
    build(BuildConfig(collection=path, index="flatl2"))
    assert content(path) != before


def test_why_nothing_is_served_is_told(tmp_path: Path) -> None:
    log = tmp_path / "serve.log"
    log.write_text(json.dumps({"message": "first"}) + "\n" + json.dumps({"message": "run `spr migrate`."}))
    assert last_words(log) == "run `spr migrate`."
    for text in ("", "Killed"):
        log.write_text(text)
        assert last_words(log) == (text or "it says nothing.")


def test_the_demos_service_has_a_library() -> None:
    assert "\n[library]\n" in TOPOLOGY
