"""Models in open_clip's layout (LAION, PE-Core, MobileCLIP2), with the names that transformers' models have.

A directory of open_clip_config.json, open_clip_model.safetensors and CLIP's tokenizer. Texts are cut by that
tokenizer and filled up with zeros, as open_clip does; models of another tokenizer or text model are refused.
"""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from engine import files
from engine.errors import Mismatch, Unavailable
from workers.ranker.encoder.families import OPEN_CLIP
from workers.ranker.encoder.files import OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS
from workers.ranker.encoder.image_transform import ImageTransform, transform_of
from workers.ranker.encoder.wrapped import Wrapped

_RESAMPLE = {"bicubic": 3, "bilinear": 2, "random": 3, "nearest": 0}
# What a model that reads texts otherwise says in its text_cfg, or beside it.
_OTHER_TEXTS = ("hf_model_name", "hf_tokenizer_name", "tokenizer_kwargs", "multimodal_cfg")


class OpenClipModel(Wrapped):
    """A dual encoder of open_clip, called as transformers' are."""

    def __init__(self, model: Any, about: dict[str, Any]) -> None:
        """model: a CustomTextCLIP. about: its model_cfg."""
        super().__init__()
        self.visual, self.text = model.visual, model.text
        self.text.output_tokens = True
        text = SimpleNamespace(hidden_size=self.text.width, max_position_embeddings=self.text.context_length)
        vision = SimpleNamespace(image_size=about["vision_cfg"].get("image_size", 224))
        self.config = SimpleNamespace(
            model_type=OPEN_CLIP, projection_dim=about["embed_dim"], text_config=text, vision_config=vision
        )
        self.text_model = SimpleNamespace(get_input_embeddings=lambda: self.text.token_embedding)

    def get_text_features(self, input_ids: torch.Tensor) -> SimpleNamespace:
        """Return pooled features and the states after the final layer norm."""
        pooled, states = self.text(input_ids)
        return SimpleNamespace(pooler_output=pooled, last_hidden_state=states)

    def get_image_features(self, pixel_values: torch.Tensor) -> SimpleNamespace:
        """Return pooled features."""
        return SimpleNamespace(pooler_output=self.visual(pixel_values))


def load_open_clip(folder: Path) -> tuple[OpenClipModel, Any, ImageTransform]:
    """Return model, tokenizer and transform; Unavailable without the package, Mismatch for what is unfit."""
    config = _config(folder)
    about = config["model_cfg"]
    try:
        import open_clip
    except ImportError as error:
        raise Unavailable(
            f"{folder} is in open_clip's layout and open_clip cannot be imported ({error}): "
            "pip install 'spr-engine[open-clip]'."
        ) from None
    from transformers import CLIPTokenizer

    try:
        name = f"local-dir:{folder}"
        model = open_clip.create_model(name, load_weights=False, force_custom_text=True)
        open_clip.load_checkpoint(model, str(folder / OPEN_CLIP_WEIGHTS), strict=True)
        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        loaded = OpenClipModel(model, about)
    except Exception as error:  # open_clip and timm raise whatever their parsers raise
        why = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise Mismatch(
            f"{folder} cannot be loaded ({why.rstrip('.')}); save or fetch the model again."
        ) from error
    return loaded, tokenizer, _transform(folder, config.get("preprocess_cfg", {}), loaded)


def _config(folder: Path) -> dict[str, Any]:
    file = folder / OPEN_CLIP_CONFIG
    try:
        config = files.read_json(file, dict)
        about = config["model_cfg"]
        given = [name for name in _OTHER_TEXTS if about["text_cfg"].get(name) or about.get(name)]
        if not isinstance(about["vision_cfg"], dict) or not isinstance(about["embed_dim"], int):
            raise TypeError("vision_cfg")
    except files.BadJson as error:
        raise Mismatch(f"{file} is not a model's configuration: {error.why}; fetch it again.") from error
    except (KeyError, TypeError, AttributeError):
        raise Mismatch(
            f"{file} lacks model_cfg with embed_dim, vision_cfg and text_cfg; fetch it again."
        ) from None
    if given:
        raise Mismatch(
            f"{file} names {given[0]}: only models with open_clip's own text tower and CLIP's tokenizer are "
            "read in this layout; give the model as transformers saves it."
        )
    return dict(config)


def _transform(folder: Path, given: dict[str, Any], model: OpenClipModel) -> ImageTransform:
    """Return what open_clip does to a picture when it is asked for features."""
    from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    side, mode = model.config.vision_config.image_size, given.get("resize_mode", "shortest")
    if mode not in ("shortest", "squash"):
        raise Mismatch(f"{folder} has resize_mode {mode!r}; shortest and squash are read.")
    square = {"height": side, "width": side}
    processor = SimpleNamespace(
        do_resize=True,
        do_center_crop=mode == "shortest",
        do_normalize=True,
        do_rescale=True,
        size={"shortest_edge": side} if mode == "shortest" else square,
        crop_size=square,
        resample=_RESAMPLE.get(given.get("interpolation", "bicubic")),
        rescale_factor=1 / 255,
        image_mean=given.get("mean", OPENAI_DATASET_MEAN),
        image_std=given.get("std", OPENAI_DATASET_STD),
    )
    return replace(transform_of(processor, str(folder / OPEN_CLIP_CONFIG)), rounds=True)
