"""Every file that an index worker reads, damaged in every way, is refused by name; served, too."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import parts, versions
from engine.catalogue import CATALOGUE
from engine.corpus import open_corpus
from engine.errors import Mismatch, SprError
from tests.workers.damages import DAMAGES
from tests.workers.index.corpora import commit, file_of, rows_of, videos, write_part
from tests.workers.index.factories import template
from tests.workers.index.test_shard import SHARD, same, version, written
from workers.index import originals
from workers.index.factory import CODES, LISTED
from workers.index.part import DIRECTORY, INDEX, ORIGINALS
from workers.index.shard import ShardOpener
from workers.versions import Held

CORPUS, OTHERS = videos(40), videos(40, seed=1)
QUERIES = rows_of(CORPUS)[0][:7]


@pytest.fixture(scope="module", params=["flat", CODES])
def collection(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A collection with codes or without, and the directory of a part of other videos."""
    path = tmp_path_factory.mktemp("collection")
    trained = template(rows_of(CORPUS)[0], request.param)
    other = write_part(path, OTHERS, trained, trained)
    commit(path, [[write_part(path, CORPUS, trained, trained)]], trained)
    return path, parts.directory(path, other.id)


def damaged(path: Path, older: Path, damage: str, then: Callable[[], None]) -> None:
    """Damage a file, call `then` if it is not as before, and put it back."""
    content, stamp = path.read_bytes(), path.stat()
    path.chmod(0o644)
    DAMAGES[damage](path, older)
    if damage == "locked" or not path.is_file() or path.read_bytes() != content:
        then()
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_refused_by_name(collection: tuple[Path, Path], damage: str) -> None:
    if damage == "locked" and os.geteuid() == 0:
        pytest.skip("root reads everything")
    home, other = collection
    opened = open_corpus(home)
    (part,) = opened.parts
    names = [parts.PART, CATALOGUE, *part.about.files_of(DIRECTORY)]
    assert len(names) >= 6
    files = [(part.directory / name, other / name) for name in names]
    files += [(versions.path_of(home, opened.id), home / "nothing")]
    silent = []
    for path, older in files:

        def check(path: Path = path) -> None:
            try:
                ShardOpener("shard-00000", "cpu")(open_corpus(home))
                silent.append(f"{path.name} was not refused")
            except SprError as error:
                if not (path.name in str(error) or "has no version" in str(error)) or "\n" in str(error):
                    silent.append(f"{path.name}: {error}")

        damaged(path, older, damage, check)
    assert silent == []


@pytest.mark.parametrize("damage", ["first bit", "middle bit", "last bit", "cut", "emptied"])
@pytest.mark.parametrize("name", [INDEX, ORIGINALS, "segment_videos.npy", "segment_offsets.npy"])
def test_damage_while_it_is_served_gives_no_other_answer(
    collection: tuple[Path, Path], name: str, damage: str
) -> None:
    home, _ = collection
    held = Held([home], ShardOpener("shard-00000", "cpu"))
    held.prepare_current()
    (version,) = (about.version for about in held.listing())
    right = held.get(version).search(QUERIES, 9)
    path = open_corpus(home).parts[0].directory / DIRECTORY / name
    if not path.is_file():
        pytest.skip("this index has no such file")

    def check() -> None:
        if name.endswith(".npy"):  # a table is held in memory
            found = held.get(version).search(QUERIES, 9)
            assert all((one.scores == other.scores).all() for one, other in zip(found, right, strict=True))
        else:
            with pytest.raises(Mismatch, match=name):
                held.get(version).search(QUERIES, 9)

    damaged(path, path, damage, check)


def test_damage_of_large_originals_is_found_soon_after_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written_of = f"IVF8,{LISTED}"
    before = version(tmp_path, written(tmp_path, [CORPUS], written_of), written_of)
    monkeypatch.setattr(originals, "LARGE", 0)
    large = ShardOpener(SHARD, "cpu")(open_corpus(tmp_path))
    same(before.search(QUERIES, 9), large.search(QUERIES, 9))
    path = file_of(tmp_path, ORIGINALS)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    opened = ShardOpener(SHARD, "cpu")(open_corpus(tmp_path))
    opened.watches[0].begin()
    with pytest.raises(Mismatch, match=rf"{ORIGINALS} no longer has the checksum"):
        opened.search(QUERIES, 9)
    with pytest.raises(Mismatch, match=ORIGINALS):
        ShardOpener(SHARD, "cpu")(open_corpus(tmp_path), True)
    path.write_bytes(b"short")
    with pytest.raises(Mismatch, match=ORIGINALS):
        ShardOpener(SHARD, "cpu")(open_corpus(tmp_path))
