"""Videos in which somebody speaks, and a recogniser that costs nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from trainer.ingest.subtitles import Cue
from trainer.speech.heard import Heard
from trainer.speech.sound import RATE

# espeak-ng says "one two three four five".
SPOKEN = Path(__file__).with_name("one_to_five.flac")


def spoken() -> NDArray[np.int16]:
    """Its samples at RATE."""
    with av.open(SPOKEN) as container:
        return np.concatenate([frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)])


def silence(seconds: float) -> NDArray[np.int16]:
    """No sound."""
    return np.zeros(round(seconds * RATE), np.int16)


def write_talk(
    path: Path, sounds: Sequence[NDArray[np.int16]], options: dict[str, str] | None = None
) -> Path:
    """Write a grey video with these sounds, one after the other."""
    samples = np.concatenate(sounds)
    with av.open(path, "w", container_options=options or {}) as container:
        pictures = container.add_stream("libx264", rate=5)
        pictures.width = pictures.height = 32
        pictures.pix_fmt = "yuv420p"
        sound = container.add_stream("aac", rate=RATE, layout="mono")
        for number in range(len(samples) * 5 // RATE):
            grey = np.full((32, 32, 3), 60 + 20 * (number % 5), np.uint8)
            picture = av.VideoFrame.from_ndarray(grey, format="rgb24")
            picture.pts = number
            container.mux(pictures.encode(picture))
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = RATE
        container.mux(sound.encode(frame))
        container.mux(pictures.encode(None))
        container.mux(sound.encode(None))
    return path


@dataclass
class Parrot:
    """Hears the same sentence in every utterance. breaks: at so many utterances, as by a kill."""

    name: str = "parrot 1"
    parallel: bool = False
    breaks: int = 1000
    heard: list[int] = field(default_factory=list)

    def hear(self, samples: NDArray[np.int16]) -> Heard:
        if len(self.heard) == self.breaks:
            raise KeyboardInterrupt
        self.heard.append(len(samples))
        return Heard([Cue(0.25, 1.0, f"sentence {len(self.heard)}")], "de")


def write_whisper(folder: Path) -> Path:
    """Write a Whisper of random weights that knows two languages."""
    import torch
    from tokenizers import AddedToken
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import (
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperProcessor,
        WhisperTokenizer,
    )

    words = {letter: number for number, letter in enumerate(sorted(ByteLevel.alphabet()))}
    tokenizer = WhisperTokenizer(vocab=words | {"<|endoftext|>": len(words)}, merges=[])
    names = "startoftranscript en de translate transcribe startoflm startofprev nospeech notimestamps".split()
    tokenizer.add_tokens([f"<|{name}|>" for name in names], special_tokens=True)
    tokenizer.add_tokens([AddedToken(f"<|{number * 0.02:.2f}|>") for number in range(1501)])
    ids = {name: tokenizer.convert_tokens_to_ids(f"<|{name}|>") for name in ["endoftext", *names]}
    ends = {key: ids["endoftext"] for key in ("eos_token_id", "bos_token_id", "pad_token_id")}
    small = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16,
             "decoder_ffn_dim": 16, "encoder_attention_heads": 2, "decoder_attention_heads": 2}  # fmt: skip
    config = WhisperConfig(
        vocab_size=len(tokenizer), decoder_start_token_id=ids["startoftranscript"], max_target_positions=32,
        begin_suppress_tokens=[], suppress_tokens=[], **small, **ends,
    )  # fmt: skip
    torch.manual_seed(0)
    model = WhisperForConditionalGeneration(config)
    settings = {
        "lang_to_id": {"<|en|>": ids["en"], "<|de|>": ids["de"]},
        "task_to_id": {"transcribe": ids["transcribe"], "translate": ids["translate"]},
        "is_multilingual": True, "no_timestamps_token_id": ids["notimestamps"], "max_length": 32,
        "max_initial_timestamp_index": 50, "_from_model_config": False,
    }  # fmt: skip
    for key, value in settings.items():
        setattr(model.generation_config, key, value)
    model.save_pretrained(folder)
    WhisperProcessor(WhisperFeatureExtractor(), tokenizer).save_pretrained(folder)
    return folder
