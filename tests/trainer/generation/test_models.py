"""Which models a build takes, and which it refuses."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engine import manifest
from engine.errors import Mismatch
from tests import numeric
from tests.trainer.generation.built import ENCODER, collection
from tests.trainer.generation.models import make_projector
from tests.trainer.generation.searching import search
from tests.workers.index.factories import pairs
from trainer.generation.build import BuildConfig, build
from workers.feature_store.store import FeatureStore
from workers.ranker.projection.projector import load_projector


def test_the_current_projector_is_taken_by_itself(tmp_path: Path) -> None:
    path = collection(tmp_path)
    name = make_projector(path)
    report = build(BuildConfig(collection=path))
    about = manifest.read(Path(report.directory))
    assert about.projector == manifest.ModelEntry(f"models/projector/{name}", name)
    assert about.embedding_model == f"{ENCODER}/{name}"
    store = FeatureStore.open(path / "features" / ENCODER)
    projector = load_projector(path / "models" / "projector" / name)
    first = torch.from_numpy(np.asarray(store.rows("video 00", "frames")[:4], np.float32))
    query = projector.segments(first[None]).numpy()
    hits = search(report, query / np.linalg.norm(query), 1)[0]
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
