"""Every file that a coordinator or a ranker reads, damaged in every way, is refused by name."""

import os
from pathlib import Path

import pytest

from engine import parts, versions
from engine.catalogue import CATALOGUE
from engine.errors import SprError
from tests.workers.damages import DAMAGES
from tests.workers.ranker.factories import VIDEOS, Tiny, tiny
from workers.ranker.models import Models


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A collection of two versions, of a part each; the newer one is current."""
    path = tmp_path_factory.mktemp("collection")
    found = tiny(path, trained=True, contexts="int8", videos=VIDEOS | {"another": 33})
    found.version([found.part(["b", "another"])])
    found.version([found.part(["a", "b", "c"])])
    assert refused(path) == ""
    return found


def files(made: Tiny, version: str) -> dict[str, Path]:
    """Return the files of a version by their names inside its part."""
    (entry,) = versions.read(made.directory, version).parts
    part = parts.directory(made.directory, entry.id)
    names = [CATALOGUE, parts.PART, *parts.read(made.directory, entry.id)[0].files]
    return {name: part / name for name in names} | {"version": versions.path_of(made.directory, version)}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_refused_by_name(made: Tiny, damage: str) -> None:
    if damage == "locked" and os.geteuid() == 0:
        pytest.skip("root reads everything")
    newer = files(made, versions.current(made.directory))
    older = files(made, versions.resolve(made.directory, "1"))
    assert len(newer) > 15
    silent = []
    for name, path in newer.items():
        content = path.read_bytes()
        path.chmod(0o644)
        DAMAGES[damage](path, older[name])
        if damage == "locked" or not path.is_file() or path.read_bytes() != content:
            said = refused(made.directory)
            if str(path) not in said or "\n" in said:
                silent.append((name, said))
        if path.is_dir():
            path.rmdir()
        path.unlink(missing_ok=True)
        path.write_bytes(content)
    assert silent == []


def refused(collection: Path) -> str:
    try:
        Models.open(collection, device="cpu")
    except SprError as error:
        return str(error)
    return ""
