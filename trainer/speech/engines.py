"""Recognisers: what turns an utterance into sentences with times."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput, Unavailable, quoted
from engine.files import read_json
from trainer.ingest.subtitles import Cue
from trainer.speech.heard import Heard, english_alone
from trainer.speech.moonshine import MOONSHINE, Moonshine
from trainer.speech.sound import RATE
from trainer.speech.terms import described
from trainer.speech.voice import INSTALL, check_installed

if TYPE_CHECKING:
    import torch

POCKETSPHINX, WHISPER = "pocketsphinx", "whisper"
# A cue ends at a pause of so many seconds, or has so many words.
_PAUSE, _WORDS = 0.7, 12
# Recognition units a second of pocketsphinx.
_UNITS = 100
# What pocketsphinx writes for what is no word.
_NO_WORD = ("<", "[", "+")


class Engine(Protocol):
    """A recogniser. name: with all that decides what it hears. parallel: gains by several processes."""

    name: str
    parallel: bool

    def hear(self, samples: NDArray[np.int16]) -> Heard:
        """Return what is said in (n,) samples at RATE, at most 30 s."""
        ...


def open_engine(
    spec: str, device: str = "auto", language: str | None = None, terms: Sequence[str] = ()
) -> Engine:
    """Load ENGINE[:MODEL]; InvalidInput for one that is not known, Unavailable for one not installed.

    language: spoken in the videos, ISO 639-1; None: what the recogniser detects. terms: said in them.
    """
    check_spec(spec, language, terms)
    engine, _, model = spec.partition(":")
    if engine == WHISPER:
        return Whisper(model, device, language, terms)
    return Moonshine(language, terms) if engine == MOONSHINE else Pocketsphinx(language)


def check_spec(spec: str, language: str | None = None, terms: Sequence[str] = ()) -> None:
    """Refuse (InvalidInput) no recogniser and what one never takes, Unavailable where none is installed.

    No model is loaded: it is known before there is anything to hear.
    """
    engine, _, model = spec.partition(":")
    check_installed()
    if engine == WHISPER and model:
        return
    if engine in (MOONSHINE, POCKETSPHINX) and not model:
        english_alone(engine, language)
        if terms and engine == POCKETSPHINX:
            raise InvalidInput(f"{engine} expects no terms; take {MOONSHINE} or {WHISPER}:MODEL with them.")
        return
    raise InvalidInput(
        f"--transcribe {quoted(spec)} is no recogniser: give {MOONSHINE} (English, its model is in its "
        f"package), {WHISPER}:MODEL, a directory or a hub name such as openai/whisper-small, or "
        f"{POCKETSPHINX} (English, misses most words)."
    )


class Pocketsphinx:
    """CMU PocketSphinx with the English model that its package holds."""

    parallel = True

    def __init__(self, language: str | None) -> None:
        """Unavailable where the package is missing, InvalidInput for a language other than English."""
        english_alone(POCKETSPHINX, language)
        try:
            from importlib.metadata import version

            import pocketsphinx
        except ImportError:
            raise Unavailable(f"{POCKETSPHINX} is not installed: {INSTALL}") from None
        self.name = f"{POCKETSPHINX} {version('pocketsphinx')} en-us"
        self._decoder = pocketsphinx.Decoder(samprate=RATE, loglevel="FATAL", cmn="batch")

    def hear(self, samples: NDArray[np.int16]) -> Heard:
        """See Engine."""
        decoder = self._decoder
        decoder.start_utt()
        decoder.process_raw(samples.tobytes(), full_utt=True)
        decoder.end_utt()
        words = [
            (unit.start_frame / _UNITS, (unit.end_frame + 1) / _UNITS, unit.word.partition("(")[0])
            for unit in decoder.seg() or ()
            if not unit.word.startswith(_NO_WORD)
        ]
        return Heard(grouped(words), "en")


def grouped(words: list[tuple[float, float, str]]) -> list[Cue]:
    """Join (start, end, word) to cues, apart where there is a pause or enough was said."""
    cues: list[Cue] = []
    first = 0
    for number, (_, end, _) in enumerate(words):
        last = number + 1 == len(words)
        if last or words[number + 1][0] - end >= _PAUSE or number + 1 - first >= _WORDS:
            text = " ".join(word for _, _, word in words[first : number + 1])
            cues.append(Cue(words[first][0], end, text))
            first = number + 1
    return cues


class Whisper:
    """Whisper by transformers: a directory or a hub name."""

    parallel = False

    def __init__(self, model: str, device: str, language: str | None, terms: Sequence[str] = ()) -> None:
        """Mismatch for a damaged model, InvalidInput for no Whisper, an unknown language, too many terms."""
        import torch
        from transformers import WhisperForConditionalGeneration, WhisperProcessor

        from workers.ranker.encoder.damage import refusing
        from workers.ranker.encoder.encoder import pick_device, quietly
        from workers.ranker.encoder.files import check_tokenizer, fingerprint_of, resolve
        from workers.ranker.encoder.loading import check_weights

        folder = resolve(model)
        self._device = pick_device(device)
        with refusing(folder, pictures=False), quietly():
            kind = read_json(folder / "config.json", dict).get("model_type")
            if kind != "whisper":
                raise InvalidInput(f"{folder} is a model of type {kind!r}; give a Whisper model.")
            check_tokenizer(folder)
            self._processor = WhisperProcessor.from_pretrained(folder, local_files_only=True)
            loaded, report = WhisperForConditionalGeneration.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
            check_weights(loaded, report, folder)
        self._model = loaded.to(self._device, torch.float16 if self._device.type == "cuda" else None).eval()
        self._languages: dict[str, int] = getattr(loaded.generation_config, "lang_to_id", None) or {}
        self._language = language
        if language is not None and language != "en" and f"<|{language}|>" not in self._languages:
            raise InvalidInput(f"{quoted(model)} does not know the language {quoted(language)}.")
        self._told = self._prompt(terms)
        self.name = f"{WHISPER} {folder.name} {fingerprint_of(folder)}{described(terms)}"

    def hear(self, samples: NDArray[np.int16]) -> Heard:
        """See Engine."""
        import torch

        from workers.ranker.encoder.encoder import quietly

        features = self._processor.feature_extractor(
            samples.astype(np.float32) / 32768, sampling_rate=RATE, return_tensors="pt"
        ).input_features.to(self._device, self._model.dtype)
        with torch.inference_mode(), quietly():
            language = self._language or self._detected(features)
            told = {"language": language, "task": "transcribe"} if self._languages else {}
            tokens = self._model.generate(features, return_timestamps=True, **told, **self._told)[0].tolist()
        read = self._processor.tokenizer.decode(tokens, skip_special_tokens=True, output_offsets=True)
        most = len(samples) / RATE
        cues = [
            Cue(float(begin), min(most, float(most if end is None else end)), part["text"].strip())
            for part in read["offsets"]
            for begin, end in [part["timestamp"]]
        ]
        return Heard([cue for cue in cues if cue.text and cue.end > cue.start], language)

    def _prompt(self, terms: Sequence[str]) -> "dict[str, torch.Tensor]":
        """Return what lets it expect terms: they stand where what was said before does."""
        if not terms:
            return {}
        try:
            prompt = self._processor.get_prompt_ids(", ".join(terms), return_tensors="pt")
        except ValueError as error:
            raise InvalidInput(f"a term has a token of {WHISPER} in it, take it out: {error}") from None
        most = self._model.config.max_target_positions // 2 - 1
        if len(prompt) > most:
            raise InvalidInput(
                f"{len(terms)} terms are {len(prompt)} tokens, and this {WHISPER} takes {most}: give fewer."
            )
        return {"prompt_ids": prompt.to(self._device)}

    def _detected(self, features: "torch.Tensor") -> str:
        if not self._languages:
            return "en"
        found = int(self._model.detect_language(features)[0])
        names = {number: name for name, number in self._languages.items()}
        return names[found].strip("<|>")
