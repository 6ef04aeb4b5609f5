"""Query features: each text is encoded once, by the encoder of the collection's features."""

from pathlib import Path

import pytest

from engine.errors import Mismatch, NotFound
from tests import numeric
from tests.workers.ranker.factories import tiny_clip
from trainer.collection.queries import encode_queries
from workers.feature_store.store import FeatureStore
from workers.ranker.encoder.encoder import Encoder

TEXTS = ["a red ball bounces", "something spins", "a red ball bounces"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_clip(tmp_path_factory.mktemp("encoder") / "clip"))


@pytest.fixture(scope="module")
def fingerprint(source: str) -> str:
    return Encoder.load(source, "cpu").fingerprint


def test_features_are_the_encoders(tmp_path: Path, source: str, fingerprint: str) -> None:
    expected = Encoder.load(source, "cpu").text(TEXTS)
    found = encode_queries(tmp_path, fingerprint, source, TEXTS, "cpu")
    numeric.close(found.pooled(TEXTS), expected.pooled)
    for text, tokens in zip(TEXTS, expected.tokens, strict=True):
        assert found.tokens(text).shape == tokens.shape
        numeric.close(found.tokens(text), tokens)


def test_a_text_is_encoded_once(tmp_path: Path, source: str, fingerprint: str) -> None:
    encode_queries(tmp_path, fingerprint, source, TEXTS, "cpu")
    encode_queries(tmp_path, fingerprint, source, [*TEXTS, "another text"], "cpu")
    assert len(FeatureStore.open(tmp_path / "queries" / fingerprint)) == 3
    known = encode_queries(tmp_path, fingerprint, "no encoder is needed", TEXTS, "cpu")
    assert known.pooled(TEXTS).shape == (3, 32)
    with pytest.raises(NotFound):
        known.pooled(["never seen"])


def test_another_encoder_is_refused(tmp_path: Path, source: str) -> None:
    with pytest.raises(Mismatch, match="were made by encoder 00ff"):
        encode_queries(tmp_path, "00ff", source, TEXTS, "cpu")
