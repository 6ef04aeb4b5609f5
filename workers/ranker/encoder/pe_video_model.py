"""PE-AV's video and text towers as a dual encoder (arXiv 2512.19687); what it hears is not read.

In transformers (5.23) its model defines get_text_features and get_video_features inside __init__, where
nobody can call them, so they are here, as its own forward computes them.
"""

from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from engine.errors import Mismatch, Unavailable
from workers.ranker.encoder.files import pictures_file
from workers.ranker.encoder.wrapped import Wrapped

# A segment's: the published models read all of a clip's frames, unless their file says how many.
_FRAMES, _MOST = 4, 256


class PeVideoModel(Wrapped):
    """The towers of transformers' PeVideoModel, called as the other families' models are."""

    def __init__(self, model: Any, frames: int) -> None:
        """model: a PeVideoModel. frames: how many of a clip are read."""
        super().__init__()
        self.text_model, self.text_video_head = model.text_model, model.text_video_head
        self.video_encoder, self.video_head = model.video_encoder, model.video_head
        side = self.video_encoder.embedder.vision_model.timm_model.patch_embed.img_size
        vision = SimpleNamespace(image_size=side, num_frames=frames)
        about = model.config
        self.config = SimpleNamespace(
            model_type=about.model_type, text_config=about.text_config, vision_config=vision
        )

    def get_text_features(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SimpleNamespace:
        """Return pooled (n, width), of each text's first token, and the states of all tokens."""
        states = self.text_model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return SimpleNamespace(pooler_output=self.text_video_head(states[:, 0]), last_hidden_state=states)

    def get_video_features(self, pixel_values_videos: torch.Tensor) -> SimpleNamespace:
        """Return pooled (n, width) of clips (n, frames, 3, height, width)."""
        pooled = self.video_encoder(pixel_values_videos=pixel_values_videos).pooler_output
        return SimpleNamespace(pooler_output=self.video_head(pooled))


def frames_of(processor: Any, folder: Path) -> int:
    """Return how many frames of a clip are read; Mismatch for a number that cannot be."""
    given = getattr(processor, "num_frames", None)
    found = _FRAMES if given is None else given
    if type(found) is not int or not 1 <= found <= _MOST:
        raise Mismatch(
            f"{pictures_file(folder)} has num_frames {found!r}; give a whole number, 1 to {_MOST}."
        )
    return found


def read_pe_video(model_class: Any, folder: Path, **options: Any) -> tuple[Any, Any]:
    """Return what from_pretrained returns with `options`, from a directory of either kind of PE-AV.

    Raises Unavailable where timm, which has the vision tower, cannot be imported.
    """
    try:
        import timm  # noqa: F401
    except ImportError as error:
        raise Unavailable(
            f"{folder} is PE-AV, whose vision tower is timm's, and timm cannot be imported ({error}): "
            "pip install 'spr-engine[timm]'."
        ) from None
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    if config.model_type == "pe_audio_video":
        # It holds the video model under a name, less the text tower, which all its models share.
        options |= {"config": config.video_config, "key_mapping": {r"^video_model\.(?!text_model\.)": ""}}
    # The class prints a remark on its own docstring. Stdout is not closed to it: others may speak meanwhile.
    vars(import_module("transformers.utils.auto_docstring"))["print"] = lambda *_: None
    model, report = model_class.from_pretrained(folder, **options)
    return model, report
