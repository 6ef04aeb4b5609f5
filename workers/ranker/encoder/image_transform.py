"""Frames to a vision tower's input: the resize, crop and normalisation of an image processor, in batches."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from engine.errors import Mismatch

# PIL's numbers of the resampling filters that torch has too.
_BICUBIC = 3
_FILTERS = {0: "nearest-exact", 2: "bilinear", _BICUBIC: "bicubic"}
_MOST_PIXELS = 4096


@dataclass(frozen=True)
class ImageTransform:
    """What an image processor does to a picture; sizes are (height, width) in pixels.

    Exactly one of `shortest_edge` (keep the aspect ratio) and `size` is set when pictures are resized.
    rounds: the middle is cut out as torchvision does, half pixels to the even one; else they are left out.
    """

    shortest_edge: int | None
    size: tuple[int, int] | None
    crop: tuple[int, int] | None
    resample: int
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    rounds: bool = False

    @classmethod
    def from_processor(cls, processor: Any, name: str = "the image processor") -> "ImageTransform":
        """Read the attributes of a CLIP or SigLIP image processor; Mismatch, with `name`, for wrong ones."""
        size = _sides(processor.size, "size", name) if processor.do_resize else {}
        crop = _sides(processor.crop_size, "crop_size", name) if processor.do_center_crop else {}
        normalise = bool(processor.do_normalize)
        return cls(
            shortest_edge=size.get("shortest_edge"),
            size=(size["height"], size["width"]) if "height" in size and "width" in size else None,
            crop=(crop["height"], crop["width"]) if "height" in crop and "width" in crop else None,
            resample=_filter(processor.resample, name) if processor.do_resize else _BICUBIC,
            scale=_positive([processor.rescale_factor], "rescale_factor", name)[0]
            if processor.do_rescale
            else 1.0,
            mean=_channels(processor.image_mean, "image_mean", name) if normalise else (0.0, 0.0, 0.0),
            std=_positive(_channels(processor.image_std, "image_std", name), "image_std", name)
            if normalise
            else (1.0, 1.0, 1.0),
        )

    @property
    def edge(self) -> int | None:
        """Short side in pixels that pictures are scaled to, None where they are not."""
        return self.shortest_edge or (max(self.size) if self.size else None)

    def inputs(
        self, frames: NDArray[np.uint8], device: torch.device, dtype: torch.dtype
    ) -> dict[str, torch.Tensor]:
        """Turn frames (n, h, w, 3) into what a vision tower is called with."""
        return {"pixel_values": self(frames, device, dtype)}

    def __call__(self, frames: NDArray[np.uint8], device: torch.device, dtype: torch.dtype) -> torch.Tensor:
        """Turn frames (n, h, w, 3) into pixel values (n, 3, height, width) on `device`."""
        pixels = self.resized(frames, device)
        mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (self.mean, self.std))
        # (x * scale - mean) / std as one multiplication and one addition
        normalised = pixels.float().mul_(self.scale / std).sub_(mean / std)
        return normalised.to(dtype).contiguous()

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Return (height, width) of what comes of a picture."""
        return self.crop or self._target(height, width) or (height, width)

    def resized(self, frames: NDArray[np.uint8], device: torch.device) -> torch.Tensor:
        """Turn frames (n, h, w, 3) into resized and cropped ones (n, 3, height, width), values 0-255."""
        # NHWC bytes seen as NCHW are torch's channels-last layout, whose byte resize is vectorised and
        # rounds between its two passes as PIL does.
        pixels = torch.from_numpy(np.require(frames, requirements=["C", "W"])).permute(0, 3, 1, 2)
        return self._crop(self._resize(pixels.to(device)))

    def _resize(self, pixels: torch.Tensor) -> torch.Tensor:
        target = self._target(int(pixels.shape[2]), int(pixels.shape[3]))
        if target is None or target == tuple(pixels.shape[2:]):
            return pixels
        mode = _FILTERS[self.resample]
        antialias = mode != "nearest-exact"
        if pixels.device.type == "cpu":
            return F.interpolate(pixels, target, mode=mode, antialias=antialias)
        # The GPU kernels resize floats only.
        resized = F.interpolate(pixels.float(), target, mode=mode, antialias=antialias)
        return resized.round_().clamp_(0, 255)

    def _target(self, height: int, width: int) -> tuple[int, int] | None:
        if self.shortest_edge is None:
            return self.size
        edge, short, long = self.shortest_edge, min(height, width), max(height, width)
        other = int(edge * long / short)
        return (other, edge) if width <= height else (edge, other)

    def _crop(self, pixels: torch.Tensor) -> torch.Tensor:
        if self.crop is None:
            return pixels
        missing = [max(0, want - have) for want, have in zip(self.crop, pixels.shape[2:], strict=True)]
        if any(missing):
            before = [(m + 1) // 2 for m in missing]
            pad = (before[1], missing[1] - before[1], before[0], missing[0] - before[0])
            pixels = F.pad(pixels, pad)
        over = [have - want for want, have in zip(self.crop, pixels.shape[2:], strict=True)]
        top, left = (round(more / 2) if self.rounds else more // 2 for more in over)
        return pixels[:, :, top : top + self.crop[0], left : left + self.crop[1]]


@dataclass(frozen=True, kw_only=True)
class PatchTransform(ImageTransform):
    """Pictures of any shape, as the patches of a NaFlex tower: at most `most`, of `patch` pixels square.

    Frames of one call have one shape, so none is padded, and the mask is all true.
    """

    patch: int
    most: int

    @property
    def edge(self) -> int:
        """Short side of the largest square picture: no other shape has a longer one."""
        return self.patch * math.isqrt(self.most)

    def inputs(
        self, frames: NDArray[np.uint8], device: torch.device, dtype: torch.dtype
    ) -> dict[str, torch.Tensor]:
        """Return patches (n, count, patch * patch * 3), row by row, their mask and (rows, columns)."""
        pixels = self(frames, device, dtype)
        n, channels, height, width = pixels.shape
        rows, columns = height // self.patch, width // self.patch
        cut = pixels.reshape(n, channels, rows, self.patch, columns, self.patch).permute(0, 2, 4, 3, 5, 1)
        return {
            "pixel_values": cut.reshape(n, rows * columns, -1),
            "pixel_attention_mask": torch.ones((n, rows * columns), dtype=torch.int32, device=device),
            "spatial_shapes": torch.tensor([[rows, columns]] * n, device=device),
        }

    def _target(self, height: int, width: int) -> tuple[int, int] | None:
        from transformers.models.siglip2 import image_processing_pil_siglip2 as siglip2

        found: tuple[int, int] = siglip2.get_image_size_for_max_num_patches(
            height, width, self.patch, self.most
        )
        return found


@dataclass(frozen=True, kw_only=True)
class GridTransform(ImageTransform):
    """Pictures of any shape: sides become multiples of `factor`, `least` to `most` pixels in all."""

    factor: int
    least: int
    most: int

    @property
    def edge(self) -> int:
        """Short side in pixels of a picture that is worth its tokens; the published one is over 1000."""
        return 448

    def _target(self, height: int, width: int) -> tuple[int, int]:
        from transformers.models.qwen2_vl import image_processing_pil_qwen2_vl as qwen

        found: tuple[int, int] = qwen.smart_resize(height, width, self.factor, self.least, self.most)
        return found


def transform_of(processor: Any, name: str) -> ImageTransform:
    """Read an image processor, of patches or not; Mismatch, with `name`, for numbers that fit no picture."""
    if hasattr(processor, "merge_size"):
        return _grid(processor, name)
    transform = ImageTransform.from_processor(processor, name)
    if not hasattr(processor, "max_num_patches"):
        return transform
    counts = {"patch_size": processor.patch_size, "max_num_patches": processor.max_num_patches}
    for key, value in counts.items():
        if not isinstance(value, int) or not 1 <= value <= _MOST_PIXELS:
            raise Mismatch(f"{name} has {key} {value!r}; give a whole number, 1 to {_MOST_PIXELS}.")
    return PatchTransform(**vars(transform), patch=counts["patch_size"], most=counts["max_num_patches"])


def _grid(processor: Any, name: str) -> GridTransform:
    sides = {"patch_size": processor.patch_size, "merge_size": processor.merge_size}
    for key, value in sides.items():
        if not isinstance(value, int) or not 1 <= value <= _MOST_PIXELS:
            raise Mismatch(f"{name} has {key} {value!r}; give a whole number, 1 to {_MOST_PIXELS}.")
    size = processor.size
    least, most = (size["shortest_edge"], size["longest_edge"])
    return GridTransform(
        shortest_edge=None,
        size=None,
        crop=None,
        resample=_filter(processor.resample, name),
        scale=_positive([processor.rescale_factor], "rescale_factor", name)[0],
        mean=_channels(processor.image_mean, "image_mean", name),
        std=_positive(_channels(processor.image_std, "image_std", name), "image_std", name),
        factor=sides["patch_size"] * sides["merge_size"],
        least=int(least),
        most=int(most),
    )


def _channels(value: Any, key: str, name: str) -> tuple[float, ...]:
    """Return one number a channel; one number alone is for all three."""
    try:
        found = np.asarray(value, np.float64).reshape(-1)
    except (TypeError, ValueError):
        found = np.full(1, np.nan)
    if len(found) not in (1, 3) or not np.isfinite(found).all():
        raise Mismatch(f"{name} has {key} {value}; give one number, or one for each of the three channels.")
    return tuple(float(number) for number in np.broadcast_to(found, 3))


def _positive(values: Sequence[Any], key: str, name: str) -> tuple[float, ...]:
    for value in values:
        if not isinstance(value, int | float) or not 0 < value < math.inf:
            raise Mismatch(f"{name} has {key} {value!r}; give a number above 0.")
    return tuple(map(float, values))


def _filter(value: Any, name: str) -> int:
    if value not in _FILTERS:
        known = ", ".join(f"{number} ({called})" for number, called in _FILTERS.items())
        raise Mismatch(f"{name} has resample {value!r}; give one of {known}.")
    return int(value)


def _sides(size: Any, key: str, name: str) -> dict[str, int]:
    """Return a processor's size, whatever its class, as the keys that are set; all are pixels."""
    items = size if isinstance(size, Mapping) else getattr(size, "__dict__", {})
    sides = {side: value for side, value in items.items() if value is not None}
    for side, value in sides.items():
        if not isinstance(value, int) or not 1 <= value <= _MOST_PIXELS:
            raise Mismatch(f"{name} has {key} with {side} {value!r}; give pixels, 1 to {_MOST_PIXELS}.")
    return sides
