from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from engine import parts, versions
from engine.catalogue import PartCatalogue
from engine.corpus import open_corpus
from engine.errors import InvalidInput
from spr_cli.main import cli
from tests.trainer.generation.built import DIM, ENCODER, FRAMES, collection, killed_build, parts_there
from trainer.generation.build import BuildConfig, build
from workers.ranker.model.relo import Relo, ReloConfig
from workers.ranker.model.windows import WindowConfig
from workers.ranker.scoring.relo_ranker import KIND, RankerConfig, ReloRanker
from workers.ranker.stores.checkpoint import save_model
from workers.ranker.stores.contexts import EncodedStore
from workers.ranker.stores.features import FeatureMaps


def with_ranker(path: Path, padding: str = "tight", width: int = DIM, encoder: str = ENCODER) -> str:
    """Make a collection whose current ranker is an untrained one; return its fingerprint."""
    collection(path, encoder=encoder, dim=width)
    torch.manual_seed(0)
    window = WindowConfig(clip_length=1.0, max_clips=32, padding=padding)  # type: ignore[arg-type]
    model = ReloConfig(
        visual_dim=width, subtitle_dim=width, query_dim=width, hidden=8, heads=2, window=window
    )
    directory = path / "models" / "ranker" / "made"
    name = save_model(directory, KIND, RankerConfig(model), Relo(model).state_dict(), encoder=encoder)
    directory.rename(directory.with_name(name))
    (directory.parent / "CURRENT").write_text(name + "\n")
    return name


def test_a_build_stores_what_its_ranker_makes_of_every_clip(tmp_path: Path) -> None:
    name = with_ranker(tmp_path)
    stages: list[tuple[str, int, int]] = []
    report = build(BuildConfig(collection=tmp_path), lambda *stage: stages.append(stage))
    total = sum(FRAMES.values())
    assert report.contexts == "float16"
    assert [stage for stage in stages if stage[0] == "contexts"][-1] == ("contexts", total, total)
    about, _ = parts.read(tmp_path, report.parts[0])
    assert len(about.files_of("encoded")) == 6
    assert (about.ranker, about.contexts, versions.read(tmp_path).contexts) == (name, "float16", "float16")
    part = parts.directory(tmp_path, about.id)
    store, contexts = EncodedStore.open(part), FeatureMaps.open(part)
    assert (store.ranker, store.dtype, store.step) == (name, "float16", 1.0)
    np.testing.assert_array_equal(store.clips, contexts.counts("frames"))
    ranker = ReloRanker.open(tmp_path / "models" / "ranker" / name)
    ranker.use_stored(store, contexts)


def test_a_video_has_the_same_contexts_whatever_is_stored_with_it(tmp_path: Path) -> None:
    with_ranker(tmp_path)
    stages: list[tuple[str, int, int]] = []
    reports = [
        build(BuildConfig(collection=tmp_path, shards=shards), lambda *stage: stages.append(stage))
        for shards in (1, 5)
    ]
    total = sum(FRAMES.values())
    assert {of for stage, _, of in stages if stage == "contexts"} == {total}
    assert stages[-1] == ("contexts", total, total)
    found: list[dict[str, list[np.ndarray]]] = []
    for report in reports:
        found.append({})
        for part in open_corpus(tmp_path, report.id).parts:
            store = EncodedStore.open(part.directory)
            for number, video in enumerate(PartCatalogue.open(part.directory).ids):
                rows = slice(store.starts[number], store.starts[number] + store.clips[number])
                streams = store.streams.values()
                found[-1][video] = [
                    array[rows] for stream in streams for array in (stream.unit, stream.norms)
                ]
    for video in FRAMES:
        for one, other in zip(found[0][video], found[1][video], strict=True):
            np.testing.assert_array_equal(one, other)


def test_every_choice_is_a_version_of_its_own(tmp_path: Path) -> None:
    with_ranker(tmp_path)
    reports = {
        choice: build(BuildConfig(collection=tmp_path, contexts=choice))
        for choice in ("auto", "int8", "int5", "none")
    }
    assert [report.contexts for report in reports.values()] == ["float16", "int8", "int5", "none"]
    assert len({report.id for report in reports.values()}) == 4
    assert not EncodedStore.there(parts.directory(tmp_path, reports["none"].parts[0]))
    assert reports["int5"].bytes < reports["int8"].bytes < reports["auto"].bytes
    again = build(BuildConfig(collection=tmp_path, contexts="float16"))
    assert (again.id, again.reused) == (reports["auto"].id, True)


def test_a_damaged_store_is_built_again(tmp_path: Path) -> None:
    with_ranker(tmp_path)
    report = build(BuildConfig(collection=tmp_path))
    path = parts.directory(tmp_path, report.parts[0]) / "encoded" / "video.npy"
    path.chmod(0o644)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    again = build(BuildConfig(collection=tmp_path))
    assert (again.id, again.reused, path.read_bytes()) == (report.id, False, whole)


def test_a_build_killed_while_it_encodes_leaves_nothing(tmp_path: Path) -> None:
    with_ranker(tmp_path)
    assert killed_build(tmp_path, "contexts") == -9
    assert not (tmp_path / "CURRENT").exists()
    report = build(BuildConfig(collection=tmp_path, shards=2))
    assert not report.reused
    assert parts_there(tmp_path) == sorted(report.parts)


def test_rankers_that_depend_on_padding_are_stored_when_asked_for(tmp_path: Path) -> None:
    with_ranker(tmp_path, "published")
    assert build(BuildConfig(collection=tmp_path)).contexts == "none"
    assert build(BuildConfig(collection=tmp_path, contexts="int8")).contexts == "int8"


def test_without_a_ranker_there_is_nothing_to_store(tmp_path: Path) -> None:
    path = collection(tmp_path)
    assert build(BuildConfig(collection=path)).contexts == "none"
    with pytest.raises(InvalidInput, match="needs a trained ranker"):
        build(BuildConfig(collection=path, contexts="int8"))
    refused = CliRunner().invoke(cli, ["build", str(path), "--contexts", "float16"])
    assert isinstance(refused.exception, InvalidInput)
