"""Every file of a generation, damaged in every way, is refused by name when it is opened."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from engine.collection import open_collection

from engine import manifest
from engine.config import CoordinatorConfig, IndexWorkerConfig, Topology
from engine.errors import SprError
from tests.trainer.generation.built import FRAMES, collection
from tests.trainer.generation.test_contexts import with_ranker
from tests.workers.ranker.factories import tiny_clip
from trainer.generation.build import BuildConfig, build
from workers.index.factory import CODES
from workers.index.servicer import open_shard
from workers.ranker.encoder.files import fingerprint_of
from workers.ranker.models import Models


def flip(place: float) -> Callable[[Path, Path], None]:
    def damage(path: Path, older: Path) -> None:
        content = bytearray(path.read_bytes())
        content[int(place * (len(content) - 1))] ^= 1
        path.write_bytes(content)

    return damage


def cut(path: Path, older: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


def empty(path: Path, older: Path) -> None:
    path.write_bytes(b"")


def old(path: Path, older: Path) -> None:
    path.unlink()
    if older.is_file():
        shutil.copyfile(older, path)


def missing(path: Path, older: Path) -> None:
    path.unlink()


def locked(path: Path, older: Path) -> None:
    path.chmod(0)


def directory(path: Path, older: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES = {
    "first bit": flip(0),
    "middle bit": flip(0.5),
    "last bit": flip(1),
    "cut": cut,
    "emptied": empty,
    "older": old,
    "missing": missing,
    "locked": locked,
    "directory": directory,
}


@pytest.fixture(scope="module", params=["flat", CODES])
def generations(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """A generation with codes or without, and the one before it, of other videos."""
    path = tmp_path_factory.mktemp("collection")
    encoder = fingerprint_of(tiny_clip(path / "clip"))
    home = path / "models" / "encoder" / encoder
    home.parent.mkdir(parents=True)
    (path / "clip").rename(home)
    with_ranker(path, width=32, encoder=encoder)
    collection(path, FRAMES, encoder, dim=32)
    config = BuildConfig(collection=path, index=request.param, recall=0.5, device="cpu")
    older = Path(build(config).directory)
    collection(path, {"another": 33}, encoder, dim=32)
    newer = Path(build(config).directory)
    for start in roles(newer).values():
        start()
    return newer, older


def roles(generation: Path) -> dict[str, Callable[[], object]]:
    """What the processes do when they start, by the files they read."""
    parts = (IndexWorkerConfig(shard=0, listen="127.0.0.1:0"),)
    topology = Topology(
        path=Path("topology.toml"),
        collection=generation.parent.parent,
        generation=generation.name,
        coordinator=CoordinatorConfig(),
        index=parts,
    )
    ranker = lambda: Models.open(generation, "cpu")  # noqa: E731
    return {
        "catalog": lambda: open_collection(topology),
        "shard": lambda: open_shard(generation, "shard-00000", "cpu"),
        "context": ranker,
        "encoded": ranker,
    }


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_refused_by_name(generations: tuple[Path, Path], damage: str) -> None:
    if damage == "locked" and os.geteuid() == 0:
        pytest.skip("root reads everything")
    generation, older = generations
    starts = roles(generation)
    names = [*manifest.read(generation).files, manifest.MANIFEST]
    assert len(names) > 13
    silent = []
    for name in names:
        path = generation / name
        content = path.read_bytes()
        path.chmod(0o644)
        DAMAGES[damage](path, older / name)
        if damage == "locked" or not path.is_file() or path.read_bytes() != content:
            reads = [start for part, start in starts.items() if name.startswith(part)]
            reads = list(starts.values()) if name == manifest.MANIFEST else reads
            said = [refused(start) for start in reads]
            if not said or not all(str(path) in one and "\n" not in one for one in said):
                silent.append((name, said))
        if path.is_dir():
            path.rmdir()
        path.unlink(missing_ok=True)
        path.write_bytes(content)
    assert silent == []


def refused(start: Callable[[], object]) -> str:
    try:
        start()
    except SprError as error:
        return str(error)
    return ""
