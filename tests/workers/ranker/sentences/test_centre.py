"""Centred sentence vectors: against numpy in double precision, kept whole, and shared by versions."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from engine.entries import EncoderEntry, TextsEntry
from engine.errors import Mismatch, NotFound
from engine.types import Doubles, Floats
from tests.numeric import close
from tests.workers.ranker.sentences.tiny import WORDS, tiny_sentences
from trainer.collection.texts import centred
from workers.ranker.sentences.centre import LEAST, Centre, as_built
from workers.ranker.sentences.opening import OpenSentences, open_sentences

DOCUMENTS = [f"{one} {other}" for one in WORDS[:8] for other in WORDS[:8]]
ASKED = ["a red square", "something moves"]


def oracle(vectors: Floats, mean: Doubles, told: Floats) -> Doubles:
    """Return vectors less a mean and the two directions in which `told` differ most, of length 1."""
    _, directions = np.linalg.eigh(np.cov(told.T.astype(np.float64)))
    left = (vectors - mean) @ (np.eye(told.shape[1]) - directions[:, -2:] @ directions[:, -2:].T)
    unit: Doubles = left / np.linalg.norm(left, axis=1, keepdims=True)
    return unit


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sentences(tmp_path_factory.mktemp("c") / "models" / "sentences" / "tiny")


def test_vectors_are_less_what_texts_have_in_common(folder: Path) -> None:
    plain = open_sentences(str(folder), "cpu")
    encoder, usual = centred(plain, DOCUMENTS)
    told, asked = plain.passages(DOCUMENTS), plain.queries(DOCUMENTS)
    found = encoder.passages(DOCUMENTS)
    wanted = oracle(told, told.mean(axis=0), told), oracle(asked, asked.mean(axis=0), told)
    close(found, wanted[0], 1e-4, scale=1.0)
    close(encoder.queries(ASKED), oracle(plain.queries(ASKED), asked.mean(axis=0), told), 1e-4, scale=1.0)
    cosines = wanted[1] @ wanted[0].T
    assert usual == pytest.approx(cosines[~np.eye(len(told), dtype=bool)].mean(), abs=1e-4)
    # Whatever is beside it.
    assert (encoder.passages(DOCUMENTS[5:6]) == found[5:6]).all()
    assert encoder.cut(ASKED) == plain.cut(ASKED)


def test_what_all_sentences_have_in_common_is_left_out() -> None:
    rng = np.random.default_rng(0)
    own = rng.normal(size=(40, 16)).astype(np.float32)
    asked = own + 0.3 * rng.normal(size=(40, 16)).astype(np.float32)
    # Two directions in which all differ most, and an offset of each kind: none says what is meant.
    loud = 30 * rng.normal(size=(2, 16)).astype(np.float32)
    documents = own + rng.normal(size=(40, 2)).astype(np.float32) @ loud + 9
    queries = asked + rng.normal(size=(40, 2)).astype(np.float32) @ loud - 9
    centre = Centre.of(documents, queries)
    cosines = centre.less(queries, centre.asked) @ centre.less(documents, centre.told).T
    right, plain = (found.argmax(axis=1) == np.arange(40) for found in (cosines, queries @ documents.T))
    assert right.mean() > 0.8 > plain.mean()


def test_of_few_texts_vectors_stay_as_they_are(folder: Path) -> None:
    plain = open_sentences(str(folder), "cpu")
    few = DOCUMENTS[: LEAST - 1]
    encoder, usual = centred(plain, few)
    close(encoder.passages(few), plain.passages(few), 1e-6, scale=1.0)
    assert usual > 0
    assert centred(plain, ["one"])[1] == 0


def test_versions_share_an_encoder_and_each_has_its_centre(folder: Path) -> None:
    collection = folder.parents[2]
    plain = open_sentences(str(folder), "cpu")
    made = centred(plain, DOCUMENTS)[0]
    made.centre.save(collection)
    named = EncoderEntry("tiny", plain.fingerprint, str(folder.relative_to(collection)))
    before = TextsEntry("", named, plain.dim)
    after = dataclasses.replace(before, centre_sha256=made.centre.sha256)
    opened = OpenSentences("cpu")
    old, new = opened.of(collection, before), opened.of(collection, after)
    assert old is not None
    assert new is not None
    assert opened.of(collection, after) is new
    assert opened.of(collection, TextsEntry("")) is None
    # As today, bit for bit.
    assert (old.queries(ASKED) == plain.queries(ASKED)).all()
    assert (new.queries(ASKED) == made.queries(ASKED)).all()
    assert (new.passages(ASKED) == made.passages(ASKED)).all()


def test_a_damaged_or_lost_centre_is_named(folder: Path, tmp_path: Path) -> None:
    plain = open_sentences(str(folder), "cpu")
    entry = TextsEntry("", EncoderEntry("tiny", plain.fingerprint), plain.dim)
    told = plain.passages(DOCUMENTS)
    centre = Centre.of(told, told)
    centre.save(tmp_path)
    (path,) = (tmp_path / "quantizers").iterdir()
    entry = dataclasses.replace(entry, centre_sha256=centre.sha256)
    with pytest.raises(Mismatch, match=f"{path.name} is not of vectors 8 wide"):
        as_built(tmp_path, dataclasses.replace(entry, dim=8), plain)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Mismatch, match=f"{path.name} does not have the checksum"):
        as_built(tmp_path, entry, plain)
    path.unlink()
    with pytest.raises(NotFound, match=f"{path.name} does not exist"):
        as_built(tmp_path, entry, plain)
