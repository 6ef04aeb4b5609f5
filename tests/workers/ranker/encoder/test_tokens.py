"""Sentences to tokens by the tokenizer classes that published encoders name."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import numeric
from tests.workers.ranker.encoders import LONGEST, TOKENIZERS, tiny_siglip
from tests.workers.ranker.factories import tiny_clip
from workers.ranker.encoder.encoder import Encoder

CLASSES = ("CLIPTokenizer", *TOKENIZERS)


@pytest.fixture(scope="module", params=CLASSES)
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "CLIPTokenizer":
        tiny_clip(folder)
    else:
        tiny_siglip(folder, request.param)
    loaded = Encoder.load(str(folder), "cpu")
    assert type(tokenizer_of(loaded)).__name__ == request.param
    return loaded


def tokenizer_of(encoder: Encoder) -> Any:
    return encoder.tokens._tokenizer


def ids(encoder: Encoder, text: str) -> list[int]:
    batch = encoder.tokens([text])
    return [int(i) for i in batch.ids[0][batch.valid[0]]]


def test_letter_case_is_no_difference(encoder: Encoder) -> None:
    assert ids(encoder, "A Man and a DOG") == ids(encoder, "a man and a dog")
    upper, lower = encoder.text(["A Man and a DOG", "a man and a dog"]).pooled
    numeric.close(upper, lower)


def test_marks_in_a_text_are_never_the_towers_own(encoder: Encoder) -> None:
    tokenizer = tokenizer_of(encoder)
    unknown = tokenizer.unk_token_id
    special = {*tokenizer.all_special_ids} - {unknown}
    plain = [i for i in ids(encoder, "a man") if i in special]
    marks = {*tokenizer.all_special_tokens, "<|endoftext|>", "</s>", "[PAD]", "<pad>", "<eos>", "<bos>"}
    for mark in sorted(marks):
        for text in (f"a man {mark}", f"{mark} a", f"a{mark}d", mark.upper(), f"{mark}{mark}"):
            found = ids(encoder, text)
            assert [i for i in found if i in special] == plain, text
            assert len(found) > len(plain) or not any(c.isalnum() for c in mark), text


def test_padding_is_on_the_right_and_full_where_the_tower_was_trained_so(encoder: Encoder) -> None:
    batch = encoder.tokens(["a", "a man and a dog"])
    assert (np.diff(batch.valid.astype(int), axis=1) <= 0).all()
    if encoder.model.config.model_type == "siglip":
        assert batch.ids.shape == (2, LONGEST)
    numeric.close(encoder.text(["a", "a man"]).pooled[0], encoder.text(["a"]).pooled[0])


def test_a_text_that_is_cut_is_known(encoder: Encoder) -> None:
    longest = encoder.model.config.text_config.max_position_embeddings
    text = "a"
    while len(ids(encoder, text)) < longest:
        text += " a"
    found = encoder.tokens([text, text + " a", "a man", text + " a" * 5000])
    assert found.cut.tolist() == [False, True, False, True]
    assert found.ids.shape == (4, longest)
    assert encoder.text(["a", text + " a"]).cut == [False, True]


def test_a_tokenizer_that_says_so_keeps_letter_case(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    folder = tiny_siglip(tmp_path, "GemmaTokenizer")
    AutoTokenizer.from_pretrained(folder, do_lower_case=False).save_pretrained(folder)
    cased = Encoder.load(str(folder), "cpu")
    assert ids(cased, "A Man") != ids(cased, "a man")
