"""The encoder: a dual encoder of one of FAMILIES, which puts frames and sentences into one space."""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.errors import InvalidInput
from workers.ranker.encoder.damage import refusing
from workers.ranker.encoder.families import family_of
from workers.ranker.encoder.files import check_tokenizer, fingerprint_of, model_type, resolve
from workers.ranker.encoder.image_transform import ImageTransform
from workers.ranker.encoder.loading import load_parts, pick_dtype
from workers.ranker.encoder.proof import prove
from workers.ranker.encoder.text_tower import TextTower
from workers.ranker.encoder.tokens import TextTokens, TokenBatch

# How the names of weights begin that texts do without.
VISION = ("vision", "visual", "video", "mit", "prompts", "inner.visual")


@dataclass(frozen=True)
class TextFeatures:
    """What the text tower says of n texts.

    `pooled` is (n, dim) float32, un-normalised; `tokens` holds for each text its (t, width) float32 last
    hidden states, after the final layer norm, of valid tokens only (begin and end markers included). `cut`
    says for each whether it was longer than the tower reads.
    """

    pooled: NDArray[np.float32]
    tokens: list[NDArray[np.float32]]
    cut: list[bool]


class Encoder:
    """Frames and sentences to vectors of one space. Safe to call from several threads."""

    def __init__(
        self, model: Any, tokenizer: Any, transform: ImageTransform, *, name: str, fingerprint: str
    ) -> None:
        """Wrap loaded parts; use `Encoder.load`."""
        self.name = name
        self.fingerprint = fingerprint
        self.transform = transform
        self.family = family_of(model.config)
        self.tokens = TextTokens(tokenizer, model.config)
        self._model = model
        self._tower: TextTower | None = None
        self._holding, self._holds_images = threading.Lock(), False

    @classmethod
    def load(
        cls, name_or_dir: str, device: str = "auto", dtype: str = "auto", *, clips: bool = False
    ) -> "Encoder":
        """Load from a local directory (never touching the network) or a hub name.

        clips: one that reads clips will do too. `dtype` is "auto" (float16 on CUDA, float32 elsewhere),
        "float32", "float16" or "bfloat16".
        Raises NotFound, Unavailable (the hub cannot be reached), InvalidInput or Mismatch (unusable files, or
        files that do not belong together).
        """
        where = pick_device(device)
        kind = pick_dtype(dtype, where)
        folder = resolve(name_or_dir)
        with quietly():
            kind_of_model = model_type(folder, clips)
            check_tokenizer(folder)
            model, tokenizer, transform = load_parts(folder, kind_of_model)
        model = model.to(device=where, dtype=kind).eval().requires_grad_(False)
        fingerprint = fingerprint_of(folder)
        with refusing(folder):
            encoder = cls(model, tokenizer, transform, name=name_or_dir, fingerprint=fingerprint)
            prove(encoder, folder)
        return encoder

    @property
    def dim(self) -> int:
        """Width of pooled text and image features."""
        return self.family.dim_of(self._model.config)

    @property
    def token_width(self) -> int:
        """Width of token features."""
        return self.family.token_width_of(self._model.config)

    @property
    def image_size(self) -> int:
        """Height and width in pixels of the vision tower's input; of a square one where it takes any."""
        vision = self._model.config.vision_config
        if self.family.chat:
            return self.frame_edge
        if self.family.patches:
            return int(vision.patch_size * vision.num_patches**0.5)
        size = vision.image_size
        return int(max(size)) if isinstance(size, list | tuple) else int(size)

    @property
    def frame_edge(self) -> int:
        """Short side in pixels that its own preprocessing scales pictures to."""
        return self.transform.edge or self.image_size

    @property
    def reads_clips(self) -> bool:
        """Whether `clips` works."""
        return self.family.frames_of(self._model.config) > 0

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self._model.device
        return device

    @property
    def model(self) -> Any:
        """The model, of one of transformers' classes."""
        return self._model

    def use_tower(self, tower: TextTower | None) -> None:
        """Encode texts by `tower` from now on, or by the model again; a tower runs on the CPU."""
        self._tower = tower

    def hold_text_weights(self) -> None:
        """Copy the weights that texts are encoded with out of their file, which is mapped until then.

        A file that changes while it is mapped changes the answers, or ends the process where it is cut.
        """
        self._hold(vision=False)

    def hold_image_weights(self) -> None:
        """Do the same for pictures, once: most services never see one."""
        with self._holding:
            if not self._holds_images:
                self._hold(vision=True)
                self._holds_images = True

    def _hold(self, vision: bool) -> None:
        for name, weight in self._model.named_parameters():
            if name.startswith(VISION) == vision:
                weight.data = weight.data.clone()

    def text(self, texts: Sequence[str], batch_size: int = 64) -> TextFeatures:
        """Encode texts, cut to the tower's positions. Raises InvalidInput on an empty one."""
        for position, text in enumerate(texts):
            if not text.strip():
                raise InvalidInput(
                    f"Text {position + 1} of {len(texts)} is empty; give at least one word.", "EMPTY_TEXT"
                )
        pooled = [np.zeros((0, self.dim), np.float32)]
        tokens: list[NDArray[np.float32]] = []
        cut: list[bool] = []
        for start in range(0, len(texts), batch_size):
            batch = self.tokens(texts[start : start + batch_size])
            rows, states = self._text_batch(batch)
            pooled.append(rows)
            tokens.extend(states)
            cut.extend(map(bool, batch.cut))
        return TextFeatures(np.concatenate(pooled), tokens, cut)

    def images(self, frames: NDArray[np.uint8], batch_size: int | None = None) -> NDArray[np.float32]:
        """Encode RGB frames (n, h, w, 3) uint8 into (n, dim) float32, un-normalised.

        Raises InvalidInput where the encoder reads clips.
        """
        if self.family.frames:
            raise InvalidInput(f"{self.name} is {self.family.title}, which reads clips, not pictures.")
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
            raise InvalidInput(f"Frames are {frames.dtype} {frames.shape}; give uint8 (n, h, w, 3).")
        step = batch_size or (128 if self.device.type == "cuda" else 32)
        features = [np.zeros((0, self.dim), np.float32)]
        for start in range(0, len(frames), step):
            with torch.inference_mode():
                inputs = self.transform.inputs(frames[start : start + step], self.device, self._model.dtype)
                pooled = self._model.get_image_features(**inputs).pooler_output
            features.append(pooled.float().cpu().numpy())
        return np.concatenate(features)

    def clips(self, clips: NDArray[np.uint8], batch_size: int = 8) -> NDArray[np.float32]:
        """Encode clips of RGB frames (n, frames, h, w, 3) uint8 into (n, dim) float32, un-normalised.

        The tower reads a fixed number of frames: of a clip of another number that many are taken, evenly.
        Raises InvalidInput where the encoder reads pictures, not clips.
        """
        if not (wanted := self.family.frames_of(self._model.config)):
            raise InvalidInput(f"{self.name} is {self.family.title}, which reads pictures, not clips.")
        if clips.dtype != np.uint8 or clips.ndim != 5 or clips.shape[4] != 3 or not clips.shape[1]:
            raise InvalidInput(f"Clips are {clips.dtype} {clips.shape}; give uint8 (n, frames, h, w, 3).")
        chosen = np.linspace(0, clips.shape[1] - 1, wanted).round().astype(np.int64)
        features = [np.zeros((0, self.dim), np.float32)]
        for start in range(0, len(clips), batch_size):
            part = clips[start : start + batch_size, chosen]
            with torch.inference_mode():
                frames = part.reshape(-1, *part.shape[2:])
                pixels = self.transform(frames, self.device, self._model.dtype)
                given = {self.family.videos: pixels.view(len(part), wanted, *pixels.shape[1:])}
                pooled = self._model.get_video_features(**given).pooler_output
            features.append(pooled.reshape(len(part), -1).float().cpu().numpy())
        return np.concatenate(features)

    def _text_batch(self, batch: TokenBatch) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        if self._tower is not None:
            return self._tower(batch.ids, batch.valid)
        inputs = {"input_ids": torch.from_numpy(batch.ids).to(self.device)}
        if not self.tokens.pads_fully:
            inputs["attention_mask"] = torch.from_numpy(batch.valid.astype(np.int64)).to(self.device)
        with torch.inference_mode():
            out = self._model.get_text_features(**inputs)
        # VideoPrism's states have one more at the end, of its pooling token.
        states = out.last_hidden_state[:, : batch.ids.shape[1]].float().cpu().numpy()
        return out.pooler_output.float().cpu().numpy(), [
            s[v] for s, v in zip(states, batch.valid, strict=True)
        ]


def pick_device(device: str) -> torch.device:
    """Return the device named, or for "auto" CUDA when it is there and the CPU otherwise."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        picked = torch.device(device)
    except RuntimeError as error:
        raise InvalidInput(f"Device {device!r} is unknown; use auto, cpu or cuda.") from error
    if picked.type == "cuda" and not torch.cuda.is_available():
        raise InvalidInput(f"Device {device!r} was asked for, but torch sees no GPU; use auto or cpu.")
    return picked


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep transformers' progress bars and notices off stderr while it loads or saves."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
