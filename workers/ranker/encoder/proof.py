"""Proof that an encoder's parts belong together, before any video is read with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.errors import Mismatch
from workers.ranker.encoder.files import pictures_file
from workers.ranker.encoder.image_transform import PatchTransform

if TYPE_CHECKING:
    from workers.ranker.encoder.encoder import Encoder

# Tables of embeddings are filled up to a round number of rows, vocabularies are not.
_ROUNDED_UP = 512
_PICTURE = (48, 64)


def prove(encoder: Encoder, folder: Path) -> None:
    """Raise Mismatch, in one sentence, for an encoder that would give wrong features or none."""
    _prove_vocabulary(encoder, folder)
    _prove_pictures(encoder, folder)
    _prove_texts(encoder, folder)


def _prove_vocabulary(encoder: Encoder, folder: Path) -> None:
    words = len(encoder.tokens)
    rows = int(encoder.model.text_model.get_input_embeddings().weight.shape[0])
    if not words <= rows < words + _ROUNDED_UP:
        raise Mismatch(
            f"{folder} has a tokenizer of {words} tokens and a text tower of {rows}; save the tokenizer "
            "that the model was trained with into the same directory."
        )


def _prove_pictures(encoder: Encoder, folder: Path) -> None:
    if encoder.family.patches:
        _prove_patches(encoder, folder)
    elif not encoder.family.chat:
        _prove_size(encoder, folder)
    frames = np.zeros((2, *_PICTURE, 3), np.uint8)
    frames[0, 10:30, 20:50] = (250, 130, 20)
    frames[1, 5:40, 5:25] = (20, 60, 240)
    vectors = encoder.clips(frames[:, None]) if encoder.family.frames else encoder.images(frames)
    _finite(vectors, "picture", folder)
    if vectors.shape[1] != encoder.dim:
        raise Mismatch(
            f"{folder} gives pictures vectors of {vectors.shape[1]} numbers and config.json says "
            f"{encoder.dim}; save or fetch the model again."
        )
    if _same(*vectors):
        raise Mismatch(
            f"{folder} gives two different pictures the same vector; the numbers in "
            f"{pictures_file(folder).name} (rescale_factor, image_mean, image_std) are not the model's, or "
            "its weights are damaged."
        )


def _prove_size(encoder: Encoder, folder: Path) -> None:
    side = encoder.image_size
    found = encoder.transform.shape(*_PICTURE)
    if found != (side, side):
        raise Mismatch(
            f"{pictures_file(folder)} makes pictures of {found[0]}x{found[1]} pixels out of "
            f"{_PICTURE[0]}x{_PICTURE[1]} and the vision tower reads {side}x{side}; set its size to that."
        )


def _prove_patches(encoder: Encoder, folder: Path) -> None:
    wanted = encoder.model.config.vision_config.patch_size
    found = encoder.transform.patch if isinstance(encoder.transform, PatchTransform) else None
    if found != wanted:
        raise Mismatch(
            f"{pictures_file(folder)} cuts pictures into patches of {found} pixels and the vision "
            f"tower reads those of {wanted}; set its patch_size to that."
        )


def _prove_texts(encoder: Encoder, folder: Path) -> None:
    try:
        first, second = encoder.text(["a dog runs over the grass", "two people talk"]).pooled
    except (ValueError, LookupError, RuntimeError) as error:  # whatever a tokenizer or a tower raises
        raise Mismatch(
            f"{folder} cannot read sentences ({str(error).partition('. ')[0]}); save the tokenizer that the "
            "model was trained with into it."
        ) from error
    _finite(first, "sentence", folder)
    if _same(first, second):
        raise Mismatch(
            f"{folder} gives two different sentences the same vector; its tokenizer is not the one "
            "that the model was trained with, or its weights are damaged: save the model again."
        )


def _same(first: NDArray[np.float32], second: NDArray[np.float32]) -> bool:
    return bool(np.abs(first - second).max() <= 1e-6 * np.abs(first).max())


def _finite(vectors: NDArray[np.float32], what: str, folder: Path) -> None:
    if not np.isfinite(vectors).all():
        raise Mismatch(f"{folder} gives a {what} a vector that is not finite; save or fetch the model again.")
