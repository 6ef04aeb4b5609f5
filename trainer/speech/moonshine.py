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
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.errors import Unavailable
from trainer.ingest.subtitles import Cue
from trainer.speech.beams import Step, search, with_others
from trainer.speech.heard import Heard, english_alone
from trainer.speech.sound import RATE
from trainer.speech.voice import INSTALL

if TYPE_CHECKING:
    import onnxruntime

MOONSHINE = "moonshine"
_PACKAGE, _MODEL = "moonshine_voice", Path("assets", "tiny-en")
# Tokens that begin and end a text.
_BEGIN, _END = 1, 2
# Tokens a second, and at all: the model was trained on fewer. What has not ended by then repeats itself, as
# on music.
_RATE, _MOST = 10.0, 194
# Texts from which the words beside the likeliest are taken.
_BEAMS = 4
# Samples below which there is no word: the rest of a speech that was cut.
_LEAST = RATE * 3 // 10
# Words of a cue: a sentence with fewer goes with the next, one with more is cut.
_FEWEST, _MANY = 4, 12
_SENTENCES = re.compile(r"(?<=[.?!])\s+")


class Moonshine:
    """Moonshine tiny on one thread: a process a file."""

    parallel = True

    def __init__(self, language: str | None) -> None:
        """Unavailable where a package is missing, InvalidInput for a language other than English."""
        english_alone(MOONSHINE, language)
        folder = _folder()
        self.name = f"{MOONSHINE} {version('moonshine-voice')} tiny-en, {_BEAMS} beams"
        self._encoder = _session(folder / "encoder_model.ort")
        self._decoder = _session(folder / "decoder_model_merged.ort")
        self._pieces = pieces((folder / "tokenizer.bin").read_bytes())
        # Name and shape of what the decoder keeps of a layer: (1, heads, positions, width).
        self._past = {
            given.name: given.shape for given in self._decoder.get_inputs() if given.name.startswith("past")
        }

    def hear(self, samples: NDArray[np.int16]) -> Heard:
        """See Engine. A cue's times are its share of the letters: the model tells none."""
        if len(samples) < _LEAST:
            return Heard([], "en")
        sound = (samples / np.float32(32768))[None]
        heeded = np.ones(sound.shape, np.int64)
        [states] = self._encoder.run(None, {"input_values": sound, "attention_mask": heeded})
        most = min(math.ceil(len(samples) / RATE * _RATE), _MOST)
        first, *others = (
            [self._text(tokens) for tokens in search(self._steps(states, heeded), _BEGIN, _END, width, most)]
            for width in (1, _BEAMS)
        )
        cues = sentences(first[0] if first else "", len(samples) / RATE)
        return Heard(with_others(cues, others[0]), "en")

    def _text(self, tokens: Sequence[int]) -> str:
        text = b"".join(self._pieces[token] for token in tokens).decode(errors="ignore")
        return text.replace("\u2581", " ").strip()

    def _steps(self, states: NDArray[np.float32], heeded: NDArray[np.int64]) -> Step:
        """Return the decoder of a sound, from its first token on."""
        past = self._nothing(states.shape[1])
        begun = False

        def step(rows: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.float32]:
            nonlocal past, begun
            past = {name: value[rows] for name, value in past.items()}
            given = {
                "encoder_hidden_states": np.repeat(states, len(rows), axis=0),
                "encoder_attention_mask": np.repeat(heeded, len(rows), axis=0),
                "input_ids": last[:, None],
                "use_cache_branch": np.array([begun]),
            }
            logits, *kept = self._decoder.run(None, given | past)
            # What is kept of the sound is computed with the first token alone.
            past |= {
                name: value
                for name, value in zip(self._past, kept, strict=True)
                if not begun or "decoder" in name
            }
            begun = True
            found: NDArray[np.float32] = logits[:, -1]
            return found

        return step

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
