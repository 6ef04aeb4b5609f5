"""A build on a disk without room: one sentence, nothing left behind, and the same command goes on."""

import contextlib
import errno
import os
import re
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import parts, versions
from engine.catalogue import PartCatalogue
from engine.errors import InvalidInput, Unavailable
from engine.staging import staged
from tests.trainer.generation.built import FRAMES, collection, parts_there
from tests.trainer.generation.test_contexts import with_ranker
from tests.trainer.generation.test_models import make_projector
from tests.workers.feature_store.stores import with_source
from tests.workers.ranker.factories import tiny_clip
from trainer.generation.build import BuildConfig, build
from workers.index.factory import CODES


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let this process write no file beyond `size` bytes, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("index", ["flat", CODES])
def test_wherever_the_disk_is_full_the_build_ends_in_a_sentence(tmp_path: Path, index: str) -> None:
    with_ranker(tmp_path / "c")
    path = tmp_path / "c"
    config = BuildConfig(collection=path, index=index, recall=0.5)
    whole = build(config)
    about, _ = parts.read(path, whole.parts[0])
    files = [*path.glob("versions/*.json"), *path.glob("quantizers/*"), *path.glob("parts/*/part.json")]
    sizes = sorted({entry.bytes for entry in about.files.values()} | {file.stat().st_size for file in files})
    for folder in ("parts", "versions", "quantizers"):
        shutil.rmtree(path / folder)
    (path / "CURRENT").unlink()
    refused = 0
    for size in sizes:
        with largest_file(size - 1), pytest.raises(Unavailable) as caught:
            build(config)
        refused += 1
        assert caught.value.reason == "DISK_FULL"
        assert re.match(
            r"/.* cannot be written \(.*\): make room and run the same command again\.", str(caught.value)
        )
        assert "\n" not in str(caught.value)
        assert not [name for name in parts_there(path) if name.startswith(".")]
        assert not (path / "CURRENT").exists()
        assert versions.numbers(path) == []
    assert refused == len(sizes) > 5
    assert build(config).parts == whole.parts


def test_a_disk_that_is_too_small_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = collection(tmp_path)
    stages: list[str] = []
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(1 << 20, 1 << 20, 1000))
    with pytest.raises(Unavailable, match=r"needs 0 MB .* has 0 MB free: make room, or remove old"):
        build(BuildConfig(collection=path), lambda stage, *_: stages.append(stage))
    assert stages == []


def test_a_copy_that_finds_no_room_is_named_and_not_what_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "elsewhere/weights", None, "c/weights")

    monkeypatch.setattr("trainer.generation.build.make_plan", full)
    with pytest.raises(Unavailable, match=r"^c/weights cannot be written"):
        build(BuildConfig(collection=tmp_path))


def test_a_full_catalogue_is_an_error_of_the_disk(tmp_path: Path) -> None:
    import numpy as np

    ids = [f"{number:06d}" for number in range(5000)]
    numbers = np.zeros(len(ids), np.int32)
    catalogue = PartCatalogue(ids, ids, numbers.astype(np.float64), numbers)
    with largest_file(20_000), pytest.raises(OSError, match="catalog") as caught:
        catalogue.write(tmp_path)
    assert caught.value.errno in (errno.ENOSPC, errno.EIO)


def test_a_disk_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = collection(tmp_path)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path / "parts"))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InvalidInput, match=r"parts cannot be written \(Read-only file system\)"):
        build(BuildConfig(collection=path))


def test_models_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        path = collection(tmp_path / "c")
        name = make_projector(path)
    finally:
        os.umask(before)
    mode = (path / "models" / "projector" / name / "model.safetensors").stat().st_mode
    assert mode & 0o777 == 0o640


def test_a_collection_keeps_its_encoder_and_moves_with_it(tmp_path: Path) -> None:
    from trainer.collection.places import keep_encoder
    from trainer.collection.queries import encode_queries
    from workers.ranker.encoder.files import explain, fingerprint_of
    from workers.ranker.models import Models

    encoder = tiny_clip(tmp_path / "encoder")
    fingerprint = fingerprint_of(encoder)
    (encoder / "NOTES.txt").write_text("a note")
    (encoder / "results.json").write_text("{}")
    assert fingerprint_of(encoder) == fingerprint
    path = collection(tmp_path / "c", FRAMES, fingerprint, dim=32)
    with_source(path / "features" / fingerprint, str(encoder))
    build(BuildConfig(collection=path, device="cpu"))
    about = versions.read(path)
    assert (about.encoder.path, about.encoder.source) == (f"models/encoder/{fingerprint}", "encoder")
    shutil.rmtree(encoder)
    moved = shutil.copytree(path, tmp_path / "elsewhere" / "c")
    shutil.rmtree(path)
    assert Models.open(moved, device="cpu").encoder.fingerprint == fingerprint
    assert build(BuildConfig(collection=moved, device="cpu")).reused
    assert not build(BuildConfig(collection=moved, device="cpu", shards=2)).reused
    kept = moved / "models" / "encoder" / fingerprint
    encode_queries(moved, fingerprint, str(kept), ["a red ball"], "cpu")
    (kept / "extra.json").write_text("{}")
    assert explain(kept, fingerprint) == ""
    keep_encoder(moved, kept, "0" * 16, "x")
    assert not (moved / "models" / "encoder" / ("0" * 16)).exists()


def test_a_fingerprint_of_before_is_explained(tmp_path: Path) -> None:
    from engine import files
    from workers.ranker.encoder.files import explain, fingerprint_of

    encoder = tiny_clip(tmp_path / "encoder")
    assert explain(encoder, fingerprint_of(encoder)) == ""
    (encoder / "NOTES.txt").write_text("a note")
    parts: list[bytes] = []
    for path in sorted(
        path for path in encoder.iterdir() if path.suffix in (".json", ".txt", ".safetensors")
    ):
        parts += [path.name.encode(), files.sha256(path).encode()]
    assert "it is the same model: NOTES.txt counted" in explain(encoder, files.fingerprint(*parts))


def test_a_training_on_a_full_disk_ends_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    from spr_cli import main
    from trainer.runs.state import Training, write_state

    model = torch.nn.Linear(100, 100)

    def train(**_: object) -> None:
        with largest_file(20_000):
            write_state(tmp_path / "state", Training(model, torch.optim.AdamW(model.parameters())), {})

    monkeypatch.setattr(main, "cli", train)
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 4
    said = capsys.readouterr().err
    assert said.startswith("spr: ")
    assert said.endswith("cannot be written (File too large): make room and run the same command again.\n")
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_part_is_named_where_no_file_of_it_is(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as told, staged(tmp_path):
        raise OSError(28, "No space left on device")
    assert "/parts/.building-" in told.value.filename
