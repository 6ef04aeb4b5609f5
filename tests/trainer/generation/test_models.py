"""The models that a build takes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engine import versions
from engine.entries import ModelEntry
from engine.errors import Mismatch
from tests import numeric
from tests.trainer.generation.built import DIM, ENCODER, collection, search
from tests.workers.index.factories import pairs
from trainer.generation.build import BuildConfig, build
from workers.feature_store.store import FeatureStore
from workers.ranker.projection.projector import Projector, ProjectorConfig, load_projector
from workers.ranker.stores.checkpoint import save_model


def make_projector(path: Path, encoder: str = ENCODER, dim: int = DIM) -> str:
    torch.manual_seed(0)
    config = ProjectorConfig(dim=dim, layers=1, heads=2)
    directory = path / "models" / "projector" / "made"
    name = save_model(directory, "projector", config, Projector(config).state_dict(), encoder=encoder)
    directory.rename(directory.with_name(name))
    (directory.parent / "CURRENT").write_text(name + "\n")
    return name


def test_the_current_projector_is_taken_by_itself(tmp_path: Path) -> None:
    path = collection(tmp_path)
    name = make_projector(path)
    report = build(BuildConfig(collection=path))
    about = versions.read(path)
    assert about.projector == ModelEntry(f"models/projector/{name}", name)
    assert about.embedding_model == f"{ENCODER}/{name}"
    store = FeatureStore.open(path / "features" / ENCODER)
    projector = load_projector(path / "models" / "projector" / name)
    first = torch.from_numpy(np.asarray(store.rows("video 00", "frames")[:4], np.float32))
    query = projector.segments(first[None]).numpy()
    hits = search(path, report, query / np.linalg.norm(query), 1)[0]
    assert pairs(hits) == [(0, 0)]
    numeric.close(hits.scores, 1)
    assert build(BuildConfig(collection=path, projector="none")).embedding_model == f"{ENCODER}/mean-pool"


def test_a_model_of_another_encoder_is_passed_over_or_refused(tmp_path: Path) -> None:
    path = collection(tmp_path)
    name = make_projector(path, encoder="another")
    report = build(BuildConfig(collection=path))
    assert report.embedding_model == f"{ENCODER}/mean-pool"
    assert name in report.notes[0]
    with pytest.raises(Mismatch, match="another"):
        build(BuildConfig(collection=path, projector=name))


def test_a_projector_of_another_width_is_refused(tmp_path: Path) -> None:
    path = collection(tmp_path)
    make_projector(path, dim=8)
    with pytest.raises(Mismatch, match="8 wide"):
        build(BuildConfig(collection=path))
