"""The families of dual encoders: what tells one from another, as a table.

A family is a `model_type` of transformers. Its model pools texts and pictures itself; what its callers must
know is how a sentence is cut, padded and masked, and which image processor its pictures went through.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

from engine.errors import Mismatch

_PIL = "clip.image_processing_pil_clip:CLIPImageProcessorPil"
OPEN_CLIP = "open_clip"
_SIGLIP_PIL = "siglip.image_processing_pil_siglip:SiglipImageProcessorPil"


@dataclass(frozen=True, slots=True)
class Family:
    """What one `model_type` is. model, pictures: module and class below transformers.models.

    dim, token_width: the key of the configuration that has the width of pooled features, of token states.
    longest: tokens that the published code reads, where the tower has positions for more. unused: positions
    that no token is given. padding: "full" fills every text up to `longest` and reads it without a mask;
    fill: with this number, None for the tokenizer's.
    lowers: the caller lower-cases texts, unless the tokenizer's files keep case; elsewhere tokenizers do.
    pooling: of the text, at its "end" marker, its "first" token, the "last" position, or the "mean" of its
    tokens. causal: said to the text tower's layers, which transformers otherwise lets see the tokens after
    them where no text of a batch is padded. graph: whether text_graph has its layers, for int8. patches:
    pictures keep their aspect ratio and are cut into patches. frames: the key of the number of frames that a
    model of clips reads at once, "" for one of pictures. clip: how many of a clip one of pictures reads too,
    0 for none. videos: what its frames are called. chat: prompted as chat_model says. timm: built as
    pe_video_model says. processor: what the image processor does that its file does not say.
    """

    title: str
    model: str
    pictures: str = _PIL
    dim: str = "projection_dim"
    token_width: str = "text_config.hidden_size"
    longest: int | None = None
    unused: int = 0
    padding: Literal["full", "batch"] = "batch"
    fill: int | None = None
    lowers: bool = False
    pooling: Literal["end", "first", "last", "mean"] = "end"
    causal: bool = False
    graph: bool = False
    patches: bool = False
    frames: str = ""
    clip: int = 0
    chat: bool = False
    timm: bool = False
    videos: str = "pixel_values"
    processor: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reads_videos(self) -> bool:
        """Whether its pictures are a video processor's, with a file of its own."""
        return bool(self.frames) and self.videos != "pixel_values"

    def dim_of(self, config: Any) -> int:
        """Width of pooled features."""
        return _at(config, self.dim)

    def token_width_of(self, config: Any) -> int:
        """Width of token states."""
        return _at(config, self.token_width)

    def frames_of(self, config: Any) -> int:
        """Frames of a clip that are read at once, 0 where single pictures alone are."""
        return _at(config, self.frames) if self.frames else self.clip

    def longest_of(self, config: Any) -> int:
        """Tokens of a text that are read, marks included."""
        positions = int(config.text_config.max_position_embeddings) - self.unused
        return min(positions, self.longest or positions)

    def repair(self, model: Any) -> None:
        """Let a text's features not depend on its neighbours, where transformers' own do."""
        for module in model.text_model.modules() if self.causal else ():
            if hasattr(module, "is_causal"):
                module.is_causal = True

    def model_class(self) -> Any:
        """Import the model's class; Mismatch where this transformers has none."""
        return self._imported(self.model)

    def image_processor(self, folder: Any) -> Any:
        """Read the image processor of a directory, with PIL's resizing whatever its file names."""
        kind = self._imported(self.pictures)
        read = kind.get_image_processor_dict
        if self.reads_videos:
            from transformers.video_processing_utils import BaseVideoProcessor

            read = BaseVideoProcessor.get_video_processor_dict
        given, _ = read(folder, local_files_only=True)
        return kind.from_dict({**self.processor, **given})

    def _imported(self, name: str) -> Any:
        module, _, kind = name.partition(":")
        try:
            return getattr(import_module(f"transformers.models.{module}"), kind)
        except (ImportError, AttributeError):
            raise Mismatch(
                f"{self.title} is not in the transformers installed here: pip install -U transformers."
            ) from None


# 512: the texts' length in its published code; ModernBERT's positions are 8,192. Its video processor needs
# torchvision.
_PE_AV = Family(
    "PE-AV",
    "pe_video.modeling_pe_video:PeVideoModel",
    pictures=_SIGLIP_PIL,
    dim="text_config.hidden_size",
    longest=512,
    pooling="first",
    frames="vision_config.num_frames",
    videos="pixel_values_videos",
    timm=True,
    processor={"resample": 2, "size": {"height": 336, "width": 336}},
)

FAMILIES: Mapping[str, Family] = {
    "clip": Family("CLIP", "clip.modeling_clip:CLIPModel", graph=True),
    # SigLIP 2 of fixed size is of this type too.
    "siglip": Family(
        "SigLIP",
        "siglip.modeling_siglip:SiglipModel",
        pictures=_SIGLIP_PIL,
        dim="vision_config.hidden_size",
        padding="full",
        lowers=True,
        pooling="last",
        graph=True,
    ),
    "siglip2": Family(
        "SigLIP 2 NaFlex",
        "siglip2.modeling_siglip2:Siglip2Model",
        pictures="siglip2.image_processing_pil_siglip2:Siglip2ImageProcessorPil",
        dim="vision_config.hidden_size",
        padding="full",
        lowers=True,
        pooling="last",
        graph=True,
        patches=True,
    ),
    "metaclip_2": Family("MetaCLIP 2", "metaclip_2.modeling_metaclip_2:MetaClip2Model", graph=True),
    # 52: the context length of its training code; BERT's positions are 512.
    "chinese_clip": Family(
        "Chinese-CLIP",
        "chinese_clip.modeling_chinese_clip:ChineseCLIPModel",
        pictures="chinese_clip.image_processing_pil_chinese_clip:ChineseCLIPImageProcessorPil",
        longest=52,
        pooling="first",
    ),
    # XLM-R counts positions from its padding's number, 1, on.
    "altclip": Family(
        "AltCLIP",
        "altclip.modeling_altclip:AltCLIPModel",
        token_width="text_config.project_dim",
        longest=77,
        unused=2,
        pooling="first",
    ),
    "aimv2": Family("AIMv2", "aimv2.modeling_aimv2:Aimv2Model", causal=True),
    # Its own image processor needs torchvision. Pictures are scaled to 0..1 and not centred.
    "tipsv2": Family(
        "TIPSv2",
        "tipsv2.modeling_tipsv2:Tipsv2Model",
        pictures=_SIGLIP_PIL,
        dim="vision_config.hidden_size",
        pooling="mean",
        processor={"resample": 2, "size": {"height": 448, "width": 448}, "do_normalize": False},
    ),
    # Its published score also bends the text by each video: not a dual encoder's, and left out.
    "xclip": Family("X-CLIP", "x_clip.modeling_x_clip:XCLIPModel", frames="vision_config.num_frames"),
    # Its own video processor needs torchvision.
    "videoprism": Family(
        "VideoPrism",
        "videoprism.modeling_videoprism:VideoPrismClipModel",
        pictures=_SIGLIP_PIL,
        dim="vision_config.hidden_size",
        pooling="last",
        frames="vision_config.num_frames",
        videos="pixel_values_videos",
        processor={"resample": 3, "size": {"height": 288, "width": 288}, "do_normalize": False},
    ),
    "qwen3_vl": Family(
        "Qwen3-VL-Embedding",
        "qwen3_vl.modeling_qwen3_vl:Qwen3VLModel",
        pictures="qwen2_vl.image_processing_pil_qwen2_vl:Qwen2VLImageProcessorPil",
        dim="text_config.hidden_size",
        longest=512,
        pooling="last",
        clip=4,
        chat=True,
        videos="pixel_values_videos",
    ),
    "pe_video": _PE_AV,
    "pe_audio_video": _PE_AV,
    # Not of transformers: a directory in open_clip's layout, read by open_clip_model.
    OPEN_CLIP: Family("an open_clip model", "", padding="full", fill=0),
}


def family_of(config: Any) -> Family:
    """Return the family of a loaded model's configuration."""
    return FAMILIES[config.model_type]


def _at(config: Any, key: str) -> int:
    value = config
    for name in key.split("."):
        value = getattr(value, name)
    return int(value)
