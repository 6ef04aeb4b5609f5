"""A local copy of what a process reads of a collection in a store."""

from collections.abc import Callable
from pathlib import Path

import pytest

from engine import parts, versions
from engine.corpus import open_corpus
from engine.entries import PartEntry, Version
from engine.errors import InvalidInput, Mismatch, NotFound, Unavailable
from engine.mirror import Mirror
from engine.places import Remote, open_place
from engine.sources import Wants
from engine.urls import check_url, without_secrets
from engine.version_lock import held
from tests.stores.server import Store, s3
from tests.trainer.library.tiny import SHARD, write_part, write_version
from trainer.library.snapshot import snapshot

INDEX = Wants(("index/",), [SHARD])
LARGE = 1 << 30


class Published:
    """A collection, and what was made of it in a store."""

    def __init__(self, home: Path, url: str) -> None:
        self.home, self.url = home, url
        home.mkdir()
        (home / "collection.json").write_text('{"name": "tiny", "format": 1}')
        self.parts = list[PartEntry]()

    def add(self, *ids: str, alone: bool = False) -> Version:
        """Publish a version of one more part, or of that alone."""
        part = write_part(self.home, ids)
        self.parts = [part] if alone else [*self.parts, part]
        made = write_version(self.home, self.parts, parent=versions.newest(self.home))
        snapshot(self.home, self.url)
        return made


@pytest.fixture
def published(url: str, tmp_path: Path) -> Published:
    return Published(tmp_path / "c", url)


@pytest.fixture
def mirrored(published: Published, tmp_path: Path) -> Callable[..., Mirror]:
    return lambda most=LARGE, wants=INDEX: Mirror(open_place(published.url), tmp_path / "mirror", most, wants)


def names(home: Path) -> list[str]:
    """Return what a mirror has of parts, and its version."""
    found = [path for path in (home / "parts").rglob("*") if path.is_file()]
    return sorted({str(path.relative_to(home / "parts")).partition("/")[2] for path in found})


def files(home: Path) -> int:
    return sum(path.is_file() for path in home.rglob("*.*"))


def test_a_version_comes_with_what_is_read_of_it(
    published: Published, mirrored: Callable[..., Mirror]
) -> None:
    made = published.add("a", "b")
    mirror = mirrored(wants=Wants())
    with mirror.fetched("") as name:
        assert (name, names(mirror.home)) == (made.id, ["catalog.sqlite", "part.json"])
        assert open_corpus(mirror.home, name).catalogue.ids == ["a", "b"]
    with mirrored().fetched("1"):
        assert names(mirror.home) == ["catalog.sqlite", "index/index.faiss", "part.json"]
    with mirrored(wants=Wants(("index/",), ["shard-00001"])).fetched("1"):
        pass
    assert versions.newest(mirror.home) == ""


def test_current_moves_when_all_is_here(published: Published, mirrored: Callable[..., Mirror]) -> None:
    first, mirror = published.add("a"), mirrored()
    mirror.follow()
    assert versions.current(mirror.home) == first.id
    second = published.add("b")
    name = f"parts/{second.parts[1].id}/index/index.faiss"
    good = s3().cat_file(f"{published.url}/{name}")
    s3().pipe_file(f"{published.url}/{name}", b"x" + good[1:])
    with pytest.raises(Mismatch, match=f"{published.url}/{name} is not what part.json says: copy it there"):
        mirror.follow()
    assert versions.current(mirror.home) == first.id
    # A store that is about to hold it.
    s3().rm(f"{published.url}/{name}")
    with pytest.raises(NotFound, match=f"{published.url} lacks {name}"):
        mirror.follow()
    snapshot(published.home, published.url)
    mirror.follow()
    assert versions.current(mirror.home) == second.id
    assert not list(mirror.home.rglob("*.partial"))


def test_while_the_store_is_away_what_is_here_is_served(
    published: Published, mirrored: Callable[..., Mirror], store: Store
) -> None:
    first, mirror = published.add("a"), mirrored()
    mirror.follow()
    second = published.add("b")
    with mirrored(wants=Wants()).fetched("2"):
        pass  # of the second the index lacks
    with store.away():
        with mirror.fetched("") as name:
            assert name == first.id
        with pytest.raises(Unavailable, match=f"{published.url} cannot be reached .*: try again") as told:
            mirror.repair(second.id)
        assert "hush" not in str(told.value)
    mirror.follow()
    with mirror.fetched("") as name:
        assert name == second.id


def test_the_parts_that_nothing_needs_go_first(published: Published, mirrored: Callable[..., Mirror]) -> None:
    made = [published.add(name, alone=True) for name in ("a", "b", "c")]
    room = sum(entry.bytes for entry in parts.read(published.home, made[0].parts[0].id)[0].files.values())
    mirror = mirrored(most=5 * room // 2)
    for one in made[:2]:
        with mirror.fetched(one.id):
            pass
    with held(mirror.home, made[0].id), mirror.fetched(made[2].id):
        there = {path.name for path in (mirror.home / "parts").iterdir()}
        assert there == {made[0].parts[0].id, made[2].parts[0].id}
        said = f"and cache_bytes is {5 * room // 2}: write a larger one into the topology"
        with pytest.raises(Unavailable, match=said), mirror.fetched(made[1].id):
            pass
    with mirror.fetched(made[1].id):
        assert not (mirror.home / "parts" / made[0].parts[0].id).exists()


def test_damage_here_is_repaired_from_there(published: Published, mirrored: Callable[..., Mirror]) -> None:
    made, mirror = published.add("a"), mirrored()
    with mirror.fetched("1"):
        path = next(mirror.home.rglob("index.faiss"))
        good = path.read_bytes()
        path.write_bytes(b"x" + good[1:])
        assert mirror.repair(made.id)
        assert path.read_bytes() == good
        assert not mirror.repair(made.id)


def test_what_is_activated_is_current_for_all(published: Published, mirrored: Callable[..., Mirror]) -> None:
    first, mirror = published.add("a"), mirrored()
    published.add("b")
    mirror.follow()
    mirror.activate(first.id)
    mirror.follow()
    assert versions.current(mirror.home) == first.id
    assert open_place(published.url).read(versions.CURRENT).decode().strip() == first.id


def test_a_path_that_leads_out_is_refused(published: Published, mirrored: Callable[..., Mirror]) -> None:
    published.add("a")
    mirror = mirrored(wants=Wants(beside=lambda _: ["../elsewhere"]))
    with pytest.raises(Mismatch, match="lies outside of its collection"), mirror.fetched("1"):
        pass


@pytest.mark.parametrize("content", [b"", b"\xff", b"<html>no</html>", b"00000009-aaaaaaaaaaaa"])
def test_a_current_that_names_nothing_changes_nothing(
    published: Published, mirrored: Callable[..., Mirror], content: bytes
) -> None:
    first, mirror = published.add("a"), mirrored()
    mirror.follow()
    s3().pipe_file(f"{published.url}/CURRENT", content)
    with pytest.raises(NotFound, match=published.url):
        mirror.follow()
    # So does a process that starts now.
    with mirrored().fetched("") as name:
        assert name == first.id


def test_a_version_file_that_came_damaged_comes_again(
    published: Published, mirrored: Callable[..., Mirror]
) -> None:
    first, mirror = published.add("a"), mirrored()
    mirror.follow()
    second, files = published.add("b"), s3()
    name = f"{published.url}/versions/00000002.json"
    good = files.cat_file(name)
    files.pipe_file(name, good[:-9])
    with pytest.raises(Mismatch, match=f"{name} is not version {second.id}: copy it there again"):
        mirror.follow()
    with mirrored().fetched("") as served:
        assert served == first.id
    snapshot(published.home, published.url)
    mirror.follow()
    (mirror.home / "versions" / "00000002.json").write_bytes(good[:-9])
    with mirrored().fetched("") as served:
        assert served == second.id


def test_where_access_is_denied_what_is_here_is_served(
    published: Published, mirrored: Callable[..., Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, mirror = published.add("a"), mirrored()
    mirror.follow()

    def denied(*_: object, **__: object) -> None:
        raise PermissionError("Forbidden")

    monkeypatch.setattr(Remote, "_at", denied)
    with pytest.raises(InvalidInput, match="check its credentials"):
        mirror.follow()
    with mirrored().fetched("") as name:
        assert name == first.id


def test_a_model_that_is_damaged_here_comes_again_once(
    published: Published, mirrored: Callable[..., Mirror]
) -> None:
    made, files = published.add("a"), s3()
    files.pipe_file(f"{published.url}/models/x/weights", b"good")
    mirror = mirrored(wants=Wants(beside=lambda _: ["models/x"]))
    with mirror.fetched("1"):
        weights = mirror.home / "models" / "x" / "weights"
        weights.write_bytes(b"evil")
        assert mirror.repair(made.id)
        assert weights.read_bytes() == b"good"
        assert not mirror.repair(made.id)
    assert [path.name for path in (mirror.home / "models").iterdir()] == ["x"]


def test_a_cache_that_cannot_be_written_is_a_sentence(published: Published, tmp_path: Path) -> None:
    published.add("a")
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match=f"{tmp_path}/file.* cannot be used"):
        Mirror(open_place(published.url), tmp_path / "file" / "m", LARGE, INDEX).follow()


def test_where_nothing_is_says_so(url: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=f"{url} holds no collection: copy one there with `spr snapshot`"):
        Mirror(open_place(url), tmp_path / "m", LARGE, INDEX).follow()


@pytest.mark.parametrize(
    "url",
    ["s3://KEY:hush@bucket/c", "s3://bucket/c?token=hush", "ftp://me:hush@host/c", "s3://bucket/c#hush"],
)
def test_no_url_with_a_secret_is_kept_or_shown(url: str) -> None:
    with pytest.raises(InvalidInput) as told:
        check_url(url, ["s3"])
    assert "hush" not in str(told.value).replace("#hush", "")
    assert without_secrets("no answer of http://me:hush@host/a?X-Amz-Signature=hush&b=hush.") == (
        "no answer of http://host/a?&"
    )
