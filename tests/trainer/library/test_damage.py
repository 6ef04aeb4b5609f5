"""Any damage of any file of a collection is refused by name, by whoever reads it, or makes no difference."""

import shutil
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from engine import versions
from engine.corpus import open_corpus
from engine.errors import SprError
from tests.trainer.library.complete import complete, features, found, linked, ranked, stored
from tests.workers.damages import cut, directory, empty, flip, missing
from trainer.generation.build import BuildConfig, build
from trainer.generation.migrate import migrate
from trainer.library.adding import add
from trainer.library.compacting import compact
from trainer.library.deleting import delete
from trainer.library.kits import Kits
from trainer.library.restore import restore
from trainer.library.snapshot import snapshot
from trainer.library.verify import verify

DAMAGES = {
    "first bit": flip(0),
    "early bit": flip(0.2),
    "middle bit": flip(0.5),
    "late bit": flip(0.8),
    "last bit": flip(1),
    "cut": cut,
    "emptied": empty,
    "missing": missing,
    "directory": directory,
}
# No process reads these, or only to lock them.
LOCKS = (".writer.lock", "lock")
# Files whose damage is repaired from another, or that say nothing that counts.
SPARE = ("journal.jsonl", "journal.copy.jsonl", "source.json", "collection.json", "/CURRENT")


def taken(path: Path) -> object:
    """Take a snapshot and bring it back elsewhere."""
    backup, other = path.with_name("backup"), path.with_name("other")
    for folder in (backup, other):
        shutil.rmtree(folder, ignore_errors=True)
    lacking = [said.replace(str(path), str(other)) for said in verify(path)]
    snapshot(path, str(backup))
    restore(other, str(backup))
    # A version can do without its quantizer: a migrated one may have none.
    assert [said for said in verify(other) if said not in lacking] == []
    return found(other), ranked(other)


def verified(path: Path) -> object:
    said = verify(path)
    if said:
        raise SprError(" ".join(said))
    return None


def added(path: Path) -> object:
    stored(path, "f")
    return add(path, ["e", "f"], Kits("cpu")).videos


def rebuilt(path: Path) -> object:
    """Build, and take a note of what could not be read for a refusal."""
    report = build(BuildConfig(collection=path, device="cpu"))
    said = [note for note in report.notes if "cannot be read" in note]
    if said:
        raise SprError(said[0])
    return report.videos


READERS: Mapping[str, Callable[[Path], object]] = {
    "index worker": found,
    "ranker worker": ranked,
    "coordinator": lambda path: open_corpus(path).catalogue.ids,
    "snapshot": taken,
    "verify": verified,
}
WRITERS: Mapping[str, Callable[[Path], object]] = {
    "add": added,
    "delete": lambda path: delete(path, ["b"]).videos,
    "compact": lambda path: compact(path).parts,
    "build": rebuilt,
    "migrate": lambda path: migrate(path).videos,
}
STEPS = {**READERS, **WRITERS}


@pytest.fixture(scope="module")
def built(memory_of_module: Path) -> Path:
    return complete(memory_of_module / "c")


@pytest.fixture(scope="module")
def right(built: Path, memory_of_module: Path) -> dict[str, object]:
    """What every step gives where nothing is damaged, and what is found then."""
    told: dict[str, object] = {}
    for name, step in STEPS.items():
        path = linked(built, memory_of_module / "right" / name.replace(" ", "-") / "c")
        told[name] = (step(path), after(path) if name in WRITERS else None)
    return told


def after(path: Path) -> object:
    assert verify(path) == []
    return found(path), features(path)


def files(path: Path) -> list[Path]:
    return sorted(one.relative_to(path) for one in path.rglob("*") if one.is_file() and one.name not in LOCKS)


def told(path: Path, name: str, step: str, damage: str, right: object) -> str:
    """Damage a file, let a step run, and return what is wrong with how it ended, "" for nothing."""
    whole = (path / name).read_bytes()
    (path / name).unlink()
    (path / name).write_bytes(whole)
    DAMAGES[damage](path / name, path)
    harmed = (path / name).read_bytes() if (path / name).is_file() else b""
    try:
        result = STEPS[step](path)
    except SprError as error:
        said = str(error)
        named = any(str(one) in said for one in (Path(name), Path(name).parent))
        return "" if named and (step == "verify" or "\n" not in said) else f"says {said}"
    except Exception:
        return traceback.format_exc(limit=-3)
    if step in WRITERS:
        put_back(path / name, whole, harmed)
        if left := verify(path):
            return f"left {left}"
        # Without CURRENT a build is a first one, of the default index.
        first = (name, damage, step) == ("CURRENT", "missing", "build")
        if (result, (found(path), features(path))) != right and not first:
            return "gives another answer"
    elif (result, None) != right:
        return "gives another answer"
    # An older version may have been removed as well; what ends CURRENT is a blank.
    same = (damage == "missing" and "versions/" in name) or (name, damage) == ("CURRENT", "last bit")
    return "is not told of it" if step == "verify" and not same and not name.endswith(SPARE) else ""


def put_back(path: Path, whole: bytes, harmed: bytes) -> None:
    """Undo a damage, unless the file is gone with its directory, or was mended; what was appended stays.

    harmed: what the damage left of it, b"" for nothing. CURRENT is written anew by what makes a version.
    """
    if path.is_dir():
        path.rmdir()
    grown = path.read_bytes() if path.exists() else b""
    mended = path.name.startswith("journal.") or (path.name == versions.CURRENT and grown != harmed)
    if path.parent.is_dir() and not mended:
        path.unlink(missing_ok=True)
        path.write_bytes(whole + grown[len(whole) :])


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "every", [pytest.param(False, id="some"), pytest.param(True, id="every", marks=pytest.mark.nightly)]
)
def test_damage_is_refused_by_name_or_makes_no_difference(
    built: Path, right: dict[str, object], memory: Path, step: str, every: bool
) -> None:
    wrong = []
    for number, name in enumerate(files(built)):
        for turn, damage in enumerate(DAMAGES):
            chosen = (number // 3 + len(step)) % len(DAMAGES)
            if every or (turn == chosen and number % 3 == len(step) % 3):
                path = linked(built, memory / "c")
                said = told(path, str(name), step, damage, right[step])
                wrong += [f"{name}, {damage}: {said}"] if said else []
                shutil.rmtree(path)
    assert wrong == [], "\n".join(wrong)
    assert versions.current(built)
