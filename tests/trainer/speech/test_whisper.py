"""Directories of Whisper models that are not whole."""

import json
from pathlib import Path

import pytest

from engine.errors import SprError
from tests.trainer.speech.factories import write_whisper
from trainer.speech.engines import Whisper
from workers.ranker.encoder.encoder import quietly


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "bert"}, "is a model of type 'bert'"),
        ({"encoder_layers": 3}, "lacks [0-9]+ weights, such as model.encoder.layers"),
        ({"vocab_size": 10}, "cannot be loaded"),
        ({"num_mel_bins": 128}, "weights of other sizes than config.json says"),
        (None, "config.json is missing"),
    ],
)
def test_a_whisper_whose_files_do_not_fit_is_refused(
    tmp_path: Path, change: dict[str, object] | None, said: str
) -> None:
    with quietly():
        folder = write_whisper(tmp_path / "tiny")
    path = folder / "config.json"
    config = json.loads(path.read_text())
    path.unlink() if change is None else path.write_text(json.dumps(config | change))
    with pytest.raises(SprError, match=said) as caught:
        Whisper(str(folder), "cpu", None)
    assert str(folder) in str(caught.value)
    path.write_text(json.dumps(config))
    (folder / "tokenizer.json").unlink()
    with pytest.raises(SprError, match="has no tokenizer"):
        Whisper(str(folder), "cpu", None)
