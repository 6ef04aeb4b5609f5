"""A version as Parquet and Lance, read back by pyarrow: what other engines see is what a search sees."""

import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from engine.corpus import open_corpus
from engine.errors import InvalidInput, Mismatch
from engine.partials import partial_of, partials_of
from spr_cli.corpus_export import command
from tests.numeric import close
from tests.trainer.library import living, talking
from tests.trainer.library.living import QUERIES, Content, copied
from trainer.collection.texts import segment_texts
from trainer.formats.export import Format, export
from trainer.formats.lance import Lance
from trainer.formats.parquet import Parquet
from trainer.generation.build import BuildConfig, build
from trainer.ingest.texts import KEY, write
from trainer.library.adding import add
from trainer.library.deleting import delete
from trainer.library.kits import Kits
from workers.index.part import DIRECTORY, INDEX

VIDEOS: dict[str, Content] = {f"v{number}": (number, 5 + 7 * number) for number in range(6)}
NEW: dict[str, Content] = {"w": (7, 21)}
LEFT = {name: content for name, content in (VIDEOS | NEW).items() if name != "v1"}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version of two shards with an added part and a deleted video, of videos that speak."""
    made = tmp_path_factory.mktemp("exported") / "c"
    talking.ingested(made, VIDEOS)
    build(BuildConfig(collection=made, shards=2, device="cpu"))
    with living.store(made) as features:
        for video, content in NEW.items():
            info = {KEY: write(made, talking.texts_of(*content)), "labels": ["rome", "news"], "date": 86400.5}
            features.append(
                video, living.arrays(content), f"file:///{video}.mp4", "w", content[1] - 0.5, info
            )
    add(made, ["w"], Kits("cpu"))
    delete(made, ["v1"])
    return made


@pytest.fixture(scope="module")
def columns(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[Any]]:
    out = tmp_path_factory.mktemp("out") / "c.parquet"
    told = CliRunner().invoke(command, [str(path), "--parquet", str(out), "--json"])
    assert told.exit_code == 0, told.output
    found = pq.read_table(out)
    assert json.loads(told.output)["segments"] == found.num_rows
    about = json.loads(found.schema.metadata[b"spr"])
    version = open_corpus(path).version
    assert (about["version"], about["embedding_model"]) == (version.id, version.embedding_model)
    return dict(found.to_pydict())


def test_rows_are_the_segments_of_living_videos_with_their_spans(columns: Mapping[str, list[Any]]) -> None:
    rows = list(zip(*(columns[name] for name in ("video", "segment", "start", "end", "uri")), strict=True))
    expected = [
        (video, number, 4.0 * number, min(4.0 * number + 4, seconds - 0.5), f"file:///{video}.mp4")
        for video, (_, seconds) in LEFT.items()
        for number in range(-(-seconds // 4))
    ]
    assert sorted(rows) == sorted(expected)


def test_vectors_find_what_a_search_finds(path: Path, columns: Mapping[str, list[Any]]) -> None:
    searcher = living.Searcher(path)
    products = np.array(columns["vector"], np.float32) @ QUERIES.T
    keys = list(zip(columns["video"], columns["segment"], strict=True))
    ((found),) = searcher.answers(searcher.corpus(), len(keys))
    for (videos, segments, scores), mine in zip(found, products.T, strict=True):
        of_key = dict(zip(zip(videos, segments, strict=True), scores, strict=True))
        close(mine, np.array([of_key[key] for key in keys]))


def test_texts_are_those_that_are_indexed(columns: Mapping[str, list[Any]]) -> None:
    for channel in ("said", "written"):
        found = {
            (video, number): text
            for video, number, text in zip(*(columns[n] for n in ("video", "segment", channel)), strict=True)
            if text is not None
        }
        expected = {
            (video, number): text
            for video, content in LEFT.items()
            for number, text in segment_texts(
                talking.texts_of(*content), channel, content[1] - 0.5, 4.0
            ).items()
        }
        assert found
        assert found == expected


def test_labels_and_dates_are_those_of_the_video(columns: Mapping[str, list[Any]]) -> None:
    for video, labels, date in zip(*(columns[name] for name in ("video", "labels", "date")), strict=True):
        wanted = ["news", "rome"], datetime(1970, 1, 2, 0, 0, 0, 500_000, UTC)
        assert (labels, date) == (wanted if video == "w" else ([], None))


def test_row_groups_hold_so_many_rows_at_most(path: Path, tmp_path: Path) -> None:
    export(path, tmp_path / "c.parquet", Parquet(), group=5)
    about = pq.ParquetFile(tmp_path / "c.parquet").metadata
    sizes = [about.row_group(number).num_rows for number in range(about.num_row_groups)]
    assert max(sizes) == 5
    assert sum(sizes) == open_corpus(path).version.segments


def test_a_file_that_is_there_stays_unless_told(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "c.parquet"
    out.write_text("mine")
    with pytest.raises(InvalidInput, match="exists already; give --force"):
        export(path, out, Parquet())
    assert out.read_text() == "mine"
    export(path, out, Parquet(), force=True)
    assert pq.read_metadata(out).num_rows == open_corpus(path).version.segments
    with pytest.raises(InvalidInput, match="lies inside the collection"):
        export(path, path / "c.parquet", Parquet())


def test_a_lance_data_set_has_the_rows_of_the_file(path: Path, tmp_path: Path) -> None:
    out, file = tmp_path / "c.lance", tmp_path / "c.parquet"
    told = CliRunner().invoke(command, [str(path), "--lance", str(out), "--json"])
    assert told.exit_code == 0, told.output
    export(path, file, Parquet())
    expected = pq.read_table(file)
    found = lance.dataset(out).to_table()
    assert (found.to_pylist(), found.schema.metadata) == (expected.to_pylist(), expected.schema.metadata)
    size = sum(one.stat().st_size for one in out.rglob("*") if one.is_file())
    assert (json.loads(told.output)["segments"], json.loads(told.output)["bytes"]) == (len(expected), size)
    with pytest.raises(InvalidInput, match="exists already; give --force to write a data set's next version"):
        export(path, out, Lance())
    export(path, out, Lance(), force=True)
    assert [len(lance.dataset(out, version=number).to_table()) for number in (1, 2)] == [len(expected)] * 2
    with pytest.raises(InvalidInput, match="exists already"):
        export(path, file, Lance(), force=True)
    with pytest.raises(InvalidInput, match=r"cannot be written .*: choose another place"):
        export(path, file / "below", Lance())
    for given in ([], ["--parquet", "a", "--lance", "b"]):
        assert "--parquet FILE or --lance" in CliRunner().invoke(command, [str(path), *given]).stderr


@pytest.mark.parametrize("into", [Parquet(), Lance()])
def test_a_killed_export_stands_in_nobodys_way(path: Path, tmp_path: Path, into: Format) -> None:
    out = tmp_path / "c.out"

    def killed(stage: str, done: int, total: int) -> None:
        # As a kill finds the disk.
        assert not out.exists()
        (left,) = partials_of(out)
        assert left.exists()

    export(path, out, into, on_progress=killed)
    left = partial_of(out)
    left.mkdir()
    os.utime(left, (0, 0))
    export(path, out, into, force=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["c.out"]


def test_what_force_does_not_replace_is_told(path: Path, tmp_path: Path) -> None:
    (tmp_path / "c.lance" / "data").mkdir(parents=True)
    for into in (Parquet(), Lance()):
        with pytest.raises(InvalidInput, match="is something else; choose another name, or remove it"):
            export(path, tmp_path / "c.lance", into, force=True)


@pytest.mark.parametrize("into", [Parquet(), Lance()])
def test_a_damaged_part_is_named_and_leaves_no_file(path: Path, tmp_path: Path, into: Format) -> None:
    broken = copied(path, tmp_path / "c")
    victim = open_corpus(broken).parts[-1].directory / DIRECTORY / INDEX
    content = bytearray(victim.read_bytes())
    content[-1] ^= 1
    victim.unlink()
    victim.write_bytes(content)
    with pytest.raises(Mismatch, match=r"index\.faiss has SHA-256"):
        export(broken, tmp_path / "c.out", into)
    assert [entry.name for entry in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize(
    ("module", "into", "extra"), [("pyarrow", Parquet(), "parquet"), ("lance", Lance(), "lance")]
)
def test_without_its_library_the_remedy_is_told(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    into: Format,
    extra: str,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InvalidInput, match=rf"pip install 'spr-engine\[{extra}\]'"):
        export(path, tmp_path / "c.out", into)
