"""What the files of a sentence encoder say: pooling, prompts, layers, length; and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from engine.entries import EncoderEntry
from engine.errors import SprError
from engine.types import Floats
from tests import numeric
from tests.workers.ranker.factories import tiny_clip
from tests.workers.ranker.sentences.tiny import LENGTH, tiny_sentences, write
from workers.ranker.sentences.layout import fingerprint_of
from workers.ranker.sentences.opening import open_entry, open_sentences

TEXT = "a red ball bounces the square"


def expected(folder: Path, text: str, pooling: str) -> Floats:
    """Compute with transformers alone."""
    tokens = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    model = AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        states = model(**tokens).last_hidden_state[0]
    pooled = {"cls": states[0], "lasttoken": states[-1], "mean": states.mean(dim=0)}[pooling]
    return np.asarray(torch.nn.functional.normalize(pooled, dim=0))


@pytest.mark.parametrize("pooling", ["cls", "lasttoken", "mean"])
@pytest.mark.parametrize("family", ["bert", "mpnet"])
def test_states_are_pooled_as_the_files_say(tmp_path: Path, family: str, pooling: str) -> None:
    name = f"pooling_mode_{pooling}_token" + ("s" if pooling == "mean" else "")
    folder = tiny_sentences(tmp_path / "m", family, name.replace("lasttoken_token", "lasttoken"))
    found = open_sentences(str(folder), "cpu").passages([TEXT])[0]
    numeric.close(found, expected(folder, TEXT, pooling))
    # As later releases of sentence-transformers write it.
    write(folder / "1_Pooling/config.json", {"pooling_mode": pooling})
    assert (open_sentences(str(folder), "cpu").passages([TEXT])[0] == found).all()


def test_without_modules_the_mean_is_taken(tmp_path: Path) -> None:
    folder = tiny_sentences(tmp_path / "m", pooling="pooling_mode_cls_token")
    (folder / "modules.json").unlink()
    found = open_sentences(str(folder), "cpu").passages([TEXT])[0]
    numeric.close(found, expected(folder, TEXT, "mean"))


def test_prompts_go_before_queries_and_passages(tmp_path: Path) -> None:
    plain = open_sentences(str(tiny_sentences(tmp_path / "plain")), "cpu")
    prompts = {"query": "query: ", "document": "passage: "}
    told = open_sentences(str(tiny_sentences(tmp_path / "told", prompts=prompts)), "cpu")
    assert (told.queries([TEXT]) == plain.queries(["query: " + TEXT])).all()
    assert (told.passages([TEXT]) == plain.passages(["passage: " + TEXT])).all()


def test_dense_layers_follow(tmp_path: Path) -> None:
    encoder = open_sentences(str(tiny_sentences(tmp_path / "m", dense=8)), "cpu")
    assert (encoder.dim, encoder.queries([TEXT]).shape) == (8, (1, 8))


@pytest.mark.parametrize("family", ["bert", "xlm-roberta"])
def test_a_text_is_read_to_the_last_position(
    tmp_path: Path, family: str, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = open_sentences(str(tiny_sentences(tmp_path / "m", family)), "cpu")
    # Two marks.
    fits = " ".join(["ball"] * (LENGTH - 2))
    assert encoder.longest == LENGTH
    assert encoder.cut([fits, fits + " red"]) == [False, True]
    encoder.passages([fits, fits + " red", "a ball"])
    assert "1 texts are longer than the sentence encoder reads" in caplog.text
    write(tmp_path / "m/sentence_bert_config.json", {"max_seq_length": 8})
    assert open_sentences(str(tmp_path / "m"), "cpu").longest == 8


def test_marks_in_a_text_are_words(tmp_path: Path) -> None:
    encoder = open_sentences(str(tiny_sentences(tmp_path / "m")), "cpu")
    assert not (encoder.queries(["a [SEP] ball"]) == encoder.queries(["a ball"])).all()
    assert encoder.cut(["[PAD]" * LENGTH]) == [True]


def test_the_fingerprint_is_of_everything_that_decides(tmp_path: Path) -> None:
    folder = tiny_sentences(tmp_path / "m")
    before = fingerprint_of(folder)
    write(folder / "README.json", {})
    assert fingerprint_of(folder) == before
    write(folder / "1_Pooling/config.json", {"pooling_mode_cls_token": True})
    assert fingerprint_of(folder) != before
    with pytest.raises(SprError, match=f"were encoded by {before}; put the old one back"):
        open_entry(tmp_path, EncoderEntry("m", before, "m"), "cpu")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("modules.json", [{"path": "", "type": "my_package.Rotary"}], "has a module 'Rotary'"),
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "pools max"),
        ("1_Pooling/config.json", {}, "pools nothing"),
        ("config.json", {"model_type": "new", "auto_map": {"AutoModel": "code.Model"}}, "cannot be loaded"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, name: str, value: object, said: str) -> None:
    folder = tiny_sentences(tmp_path / "m")
    write(folder / name, value)
    with pytest.raises(SprError, match=said):
        open_sentences(str(folder), "cpu")


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("config.json", "has no config.json"),
        ("model.safetensors", "write its weights as safetensors"),
        ("tokenizer.json", "has no tokenizer"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, gone: str, said: str) -> None:
    folder = tiny_sentences(tmp_path / "m")
    (folder / gone).unlink()
    with pytest.raises(SprError, match=said):
        open_sentences(str(folder), "cpu")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("modules.json", [5], "a value in one of its JSON files"),
        ("modules.json", [{"type": "a.Dense", "path": "9_Dense"}], "9_Dense/config.json is missing"),
        ("config_sentence_transformers.json", {"prompts": "query"}, "a value in one of its JSON files"),
        ("sentence_bert_config.json", {"max_seq_length": "x"}, "cannot be loaded .invalid literal"),
        ("sentence_bert_config.json", {"max_seq_length": 1}, "reads 1 tokens, fewer than a text's marks"),
        ("tokenizer_config.json", [], "tokenizer_config.json cannot be used: it does not hold an object"),
    ],
)
def test_values_of_another_kind_are_a_sentence(tmp_path: Path, name: str, value: object, said: str) -> None:
    folder = tiny_sentences(tmp_path / "m")
    write(folder / name, value)
    with pytest.raises(SprError, match=said) as caught:
        open_sentences(str(folder), "cpu")
    assert str(folder) in str(caught.value)


def test_files_that_belong_to_different_models_are_refused(tmp_path: Path) -> None:
    folder = tiny_sentences(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    write(folder / "config.json", config | {"num_hidden_layers": 1})
    with pytest.raises(SprError, match="more layers than config"):
        open_sentences(str(folder), "cpu")
    write(folder / "config.json", config)
    tokens = json.loads((folder / "tokenizer.json").read_text())
    tokens["model"]["vocab"]["later"] = len(tokens["model"]["vocab"])
    write(folder / "tokenizer.json", tokens)
    with pytest.raises(SprError, match="has a tokenizer of 19 tokens and a model of 18"):
        open_sentences(str(folder), "cpu")


def test_a_model_of_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SprError, match="does not encode sentences"):
        open_sentences(str(tiny_clip(tmp_path / "clip")), "cpu")


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SprError, match="is not a directory"):
        open_sentences(str(tmp_path / "nothing"), "cpu")
