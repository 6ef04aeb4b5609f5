"""Moonshine tiny: a neural recogniser of English whose model is in a package. Its ONNX files are run here.

The package's own code is never imported: it can fetch models from the net and opens sound devices. The model:
"Moonshine: Speech Recognition for Live Transcription and Voice Commands", arXiv 2410.15608.
"""

import importlib.util
import math
import os
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import Unavailable
from trainer.ingest.subtitles import Cue
from trainer.speech.beams import search
from trainer.speech.heard import Heard, english_alone
from trainer.speech.sound import RATE
from trainer.speech.terms import Trie, described
from trainer.speech.voice import INSTALL

if TYPE_CHECKING:
    import onnxruntime

MOONSHINE = "moonshine"
_PACKAGE, _MODEL = "moonshine_voice", Path("assets", "tiny-en")
# What a blank is in a piece.
_BLANK = "\u2581".encode()
# Tokens that begin and end a text.
_BEGIN, _END = 1, 2
# Tokens a second, and at all: the model was trained on fewer. What has not ended by then repeats itself, as
# on music.
_RATE, _MOST = 10.0, 194
# Samples below which there is no word: the rest of a speech that was cut.
_LEAST = RATE * 3 // 10
# Words of a cue: a sentence with fewer goes with the next, one with more is cut.
_FEWEST, _MANY = 4, 12
_SENTENCES = re.compile(r"(?<=[.?!])\s+")


class Moonshine:
    """Moonshine tiny on one thread: a process a file."""

    parallel = True

    def __init__(self, language: str | None, terms: Sequence[str] = ()) -> None:
        """Unavailable where a package is missing, InvalidInput for a language other than English."""
        english_alone(MOONSHINE, language)
        folder = _folder()
        self.name = f"{MOONSHINE} {version('moonshine-voice')} tiny-en{described(terms)}"
        self._encoder = _session(folder / "encoder_model.ort")
        self._decoder = _session(folder / "decoder_model_merged.ort")
        self._pieces = pieces((folder / "tokenizer.bin").read_bytes())
        self._trie = Trie(terms, [piece.replace(_BLANK, b" ") for piece in self._pieces]) if terms else None
        # Name and shape of what the decoder keeps of a layer: (1, heads, positions, width).
        self._past = {
            given.name: given.shape for given in self._decoder.get_inputs() if given.name.startswith("past")
        }

    def hear(self, samples: NDArray[np.int16]) -> Heard:
        """See Engine. A cue's times are its share of the letters: the model tells none."""
        text = b"".join(self._pieces[token] for token in self._tokens(samples)).replace(_BLANK, b" ")
        return Heard(sentences(text.decode(errors="ignore").strip(), len(samples) / RATE), "en")

    def _tokens(self, samples: NDArray[np.int16]) -> list[int]:
        """Return the likeliest text, or the likeliest next token after each; none where none ends."""
        if len(samples) < _LEAST:
            return []
        most = min(math.ceil(len(samples) / RATE * _RATE), _MOST)
        state = self._begun(samples)
        if self._trie is not None:
            return search(state, self._step, self._trie, _END, most)
        tokens: list[int] = []
        for _ in range(most):
            logits, state = self._step(state, tokens)
            token = int(logits.argmax())
            if token == _END:
                return tokens
            tokens.append(token)
        return []

    def _begun(self, samples: NDArray[np.int16]) -> dict[str, Any]:
        """Return what the decoder is given before the first token."""
        sound = (samples / np.float32(32768))[None]
        heeded = np.ones(sound.shape, np.int64)
        [states] = self._encoder.run(None, {"input_values": sound, "attention_mask": heeded})
        given = {"encoder_hidden_states": states, "encoder_attention_mask": heeded}
        return given | self._nothing(states.shape[1])

    def _step(
        self, given: dict[str, Any], tokens: Sequence[int]
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Return the logits (pieces,) of what follows tokens, and what the decoder is given after it."""
        told = {
            "input_ids": np.array([[tokens[-1] if tokens else _BEGIN]]),
            "use_cache_branch": np.array([bool(tokens)]),
        }
        logits, *kept = self._decoder.run(None, given | told)
        # What is kept of the sound is computed with the first token alone.
        return logits[0, -1], given | {
            name: value
            for name, value in zip(self._past, kept, strict=True)
            if not tokens or "decoder" in name
        }

    def _nothing(self, positions: int) -> dict[str, NDArray[np.float32]]:
        """Return what the decoder has kept before the first token. positions: of the sound."""
        return {
            name: np.zeros((1, heads, 0 if "decoder" in name else positions, width), np.float32)
            for name, (_, heads, _, width) in self._past.items()
        }


def sentences(text: str, seconds: float) -> list[Cue]:
    """Cut a text into sentences, each at its share of the seconds, by letters; [] without a letter."""
    parts: list[str] = []
    for part in _SENTENCES.split(text) if any(map(str.isalnum, text)) else ():
        words = [
            *(parts.pop().split() if parts and parts[-1].count(" ") + 1 < _FEWEST else ()),
            *part.split(),
        ]
        cues = math.ceil(len(words) / _MANY)
        parts += [" ".join(some) for some in np.array_split(words, cues)]
    edges = np.cumsum([0, *map(len, parts)]) * (seconds / max(1, sum(map(len, parts))))
    return [
        Cue(float(start), float(end), part)
        for part, start, end in zip(parts, edges[:-1], edges[1:], strict=True)
    ]


def pieces(data: bytes) -> list[bytes]:
    """Return the piece of each token. In the file its length precedes it: a byte, or two from 128 on."""
    found: list[bytes] = []
    at = 0
    while at < len(data):
        length, at = data[at], at + 1
        if length >= 128:
            length, at = length - 128 + 128 * data[at], at + 1
        found.append(data[at : at + length])
        at += length
    return found


def _folder() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise Unavailable(f"{MOONSHINE} is not installed: {INSTALL}")
    folder = Path(spec.submodule_search_locations[0]) / _MODEL
    if not folder.is_dir():
        raise Unavailable(f"moonshine-voice {version('moonshine-voice')} comes without its model: {INSTALL}")
    return folder


def _session(path: Path) -> "onnxruntime.InferenceSession":
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError:
        raise Unavailable(f"onnxruntime, which {MOONSHINE} needs, is not installed: {INSTALL}") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
