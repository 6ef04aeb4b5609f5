"""The small CLIP: its shape, its image transform and the weights it starts from."""

import itertools
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from workers.ranker.encoder.image_transform import ImageTransform

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
# Widths of the sine-cosine code of a place: as many numbers for x as for y.
_PLACE = 32
# Periods in patches, from just above two (neighbours differ most) to the whole frame.
_PERIODS = (2.3, 3.2, 4.4, 6.4, 9.0, 13.0, 18.0, 26.0)
# Where the four heads of a layer look at first, in patches (x, y) from where they are.
_OFFSETS = (
    ((0, 0), (1, 0), (0, 1), (1, 1)),
    ((0, 0), (-1, 0), (0, -1), (-1, -1)),
    ((1, -1), (-1, 1), (1, 1), (-1, -1)),
)


@dataclass(frozen=True)
class ModelShape:
    """Sizes of the towers; images are squares of `image` pixels cut into patches of `patch` pixels."""

    image: int = 64
    patch: int = 8
    width: int = 128
    layers: int = 3
    heads: int = 4
    text_layers: int = 2
    dim: int = 128
    max_tokens: int = 48


def build_model(shape: ModelShape, vocab_size: int, start: int, end: int) -> Any:
    """Return a transformers CLIPModel of this shape; `start` and `end` are the ids of the text's markers."""
    from transformers import CLIPConfig
    from transformers.models.clip.modeling_clip import CLIPModel

    tower = {
        "hidden_size": shape.width,
        "intermediate_size": 3 * shape.width,
        "num_attention_heads": shape.heads,
        "projection_dim": shape.dim,
        "hidden_act": "gelu",
    }
    marks = {"bos_token_id": start, "eos_token_id": end, "pad_token_id": end}
    text = {"vocab_size": vocab_size, "max_position_embeddings": shape.max_tokens, **marks}
    config = CLIPConfig(
        text_config={**tower, **text, "num_hidden_layers": shape.text_layers},
        vision_config={
            **tower,
            "num_hidden_layers": shape.layers,
            "image_size": shape.image,
            "patch_size": shape.patch,
        },
        projection_dim=shape.dim,
        logit_scale_init_value=2.3,
    )
    return CLIPModel(config)


def image_processor(shape: ModelShape) -> Any:
    """Return a CLIP image processor that squeezes the whole frame into the square, cropping nothing."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    side = {"height": shape.image, "width": shape.image}
    return CLIPImageProcessorPil(
        size=side, do_center_crop=False, crop_size=side, image_mean=list(CLIP_MEAN), image_std=list(CLIP_STD)
    )


def normalise(pixels: torch.Tensor, transform: ImageTransform) -> torch.Tensor:
    """Turn pixels (n, 3, h, w) of 0-255 into the tower's input."""
    mean, std = (
        torch.tensor(v, device=pixels.device).view(1, 3, 1, 1) for v in (transform.mean, transform.std)
    )
    return pixels * (transform.scale / std) - mean / std


@torch.no_grad()
def warm_start(vision: Any, shape: ModelShape, inputs: torch.Tensor) -> None:
    """Start the vision tower as something like a convolutional network on whitened patches.

    From random weights a transformer needs far more than two minutes to tell shapes apart. Patch embeddings
    start as whitened principal components of `inputs` (n, 3, side, side), so that edges and flat colour have
    equal variance; some components of every token encode its position, by which the heads of all layers but
    the last attend to fixed neighbours. Everything is trained from there.
    """
    content = shape.width - _PLACE
    embed = vision.embeddings.patch_embedding.weight
    embed.zero_()
    whitened = whitening(inputs, shape.patch, content)
    rotation = torch.linalg.qr(torch.randn(content, content))[0][:, : len(whitened)]
    embed[:content] = (rotation @ whitened).view(content, 3, shape.patch, shape.patch)
    places = vision.embeddings.position_embedding.weight
    places.normal_(0, 0.02)
    axis = torch.arange(shape.image // shape.patch, dtype=torch.float32)
    grid = torch.tensor(list(itertools.product(axis.tolist(), repeat=2)))  # (y, x), as patches are ordered
    places[1:, content:] = torch.cat([_waves(grid[:, 1]), _waves(grid[:, 0])], 1)
    for layer, offsets in zip(vision.encoder.layers[:-1], itertools.cycle(_OFFSETS), strict=False):
        _look_at(layer.self_attn, offsets, shape)


def whitening(inputs: torch.Tensor, patch: int, most: int, floor: float = 0.02) -> torch.Tensor:
    """Return filters (k <= most, 3 * patch * patch): the largest principal components of patches, whitened.

    `floor`, a share of the mean variance, keeps components that are hardly there from becoming noise.
    """
    patches = nn.functional.unfold(inputs, patch, stride=patch).transpose(1, 2).reshape(-1, 3 * patch**2)
    variances, axes = torch.linalg.eigh(patches.T @ patches / len(patches))
    variances, axes = variances.flip(0)[:most], axes.flip(1)[:, :most]
    scaled: torch.Tensor = axes / (variances + floor * variances.mean()).sqrt()
    return scaled.T


def _look_at(attention: Any, offsets: tuple[tuple[int, int], ...], shape: ModelShape) -> None:
    """Add to queries and keys what makes head h attend to the patch at offsets[h]."""
    size, content, half = shape.width // shape.heads, shape.width - _PLACE, _PLACE // 2
    for head in range(shape.heads):
        x, y = offsets[head % len(offsets)]
        query, key = torch.zeros(size, shape.width), torch.zeros(size, shape.width)
        key[:_PLACE, content:] = torch.eye(_PLACE)
        query[:half, content : content + half] = _shift(x)
        query[half:_PLACE, content + half :] = _shift(y)
        rows = slice(head * size, (head + 1) * size)
        for weight, start in ((attention.q_proj.weight, query), (attention.k_proj.weight, key)):
            weight[rows] = 0.3 * weight[rows] + start


def _waves(places: torch.Tensor) -> torch.Tensor:
    """Return the code (n, 16) of places (n,) along one axis."""
    angles = places.view(-1, 1) * _frequencies()
    return torch.cat([angles.sin(), angles.cos()], 1) * 2**0.5


def _shift(by: int) -> torch.Tensor:
    """Return the matrix (16, 16) that turns the code of a place into the code of place + by."""
    cos, sin = (torch.diag(wave) for wave in ((_frequencies() * by).cos(), (_frequencies() * by).sin()))
    return torch.cat([torch.cat([cos, sin], 1), torch.cat([-sin, cos], 1)])


def _frequencies() -> torch.Tensor:
    return 2 * torch.pi / torch.tensor(_PERIODS)
