"""Moonshine: a sound to tokens to cues, by its model alone."""

import re
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from engine.errors import Unavailable
from tests.trainer.speech.factories import silence, spoken
from trainer.speech import moonshine
from trainer.speech.moonshine import Moonshine, pieces, sentences
from trainer.speech.sound import RATE


@pytest.fixture(scope="module")
def engine() -> Moonshine:
    return Moonshine(None)


def test_a_long_sound_is_heard_to_its_end(engine: Moonshine) -> None:
    # Above 9.8 s the decoder sees a mask of more than one position.
    sound = np.concatenate([spoken(), silence(0.6)] * 4)
    assert len(sound) > 10 * RATE
    cues = engine.hear(sound).cues
    assert len(re.findall("five|5", " ".join(cue.text.casefold() for cue in cues))) >= 3
    assert cues[-1].end == pytest.approx(len(sound) / RATE)
    assert all(one.end == other.start for one, other in pairwise(cues))


def test_the_code_of_its_package_never_runs(engine: Moonshine) -> None:
    assert [cue.text for cue in engine.hear(spoken()).cues] == ["One, two, three, four, five."]
    assert not [name for name in sys.modules if name.startswith("moonshine_voice")]


def test_the_rest_of_a_speech_that_was_cut_says_nothing(engine: Moonshine) -> None:
    for samples in (480, 4799):
        assert engine.hear(spoken()[:samples]).cues == []
    assert engine.hear(spoken()[:4800]).language == "en"


def test_what_never_ends_is_no_speech(engine: Moonshine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moonshine, "_MOST", 5)
    assert engine.hear(spoken()).cues == []


def test_a_text_becomes_cues_at_sentences_and_after_many_words() -> None:
    assert sentences("", 3.0) == sentences("\u266a \u266a", 3.0) == []
    cues = sentences("Dr. Hartley opens the door. Good morning, she says now!", 10.0)
    assert [cue.text for cue in cues] == ["Dr. Hartley opens the door.", "Good morning, she says now!"]
    assert [cues[0].start, cues[0].end, cues[1].end] == pytest.approx([0.0, 5.0, 10.0])
    long = sentences("word " * 25, 25.0)
    assert [len(cue.text.split()) for cue in long] == [9, 8, 8]
    assert " ".join(cue.text for cue in long).split() == ["word"] * 25


def test_the_length_of_a_piece_has_one_byte_or_two() -> None:
    long = b"x" * 300
    assert pieces(b"\x02ab\x00" + bytes([128 + 300 % 128, 300 // 128]) + long) == [b"ab", b"", long]


def test_a_package_without_its_model_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "moonshine_voice").mkdir()
    (tmp_path / "moonshine_voice" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(Unavailable, match=r"comes without its model: pip install 'spr-engine\[speech\]'"):
        Moonshine(None)
