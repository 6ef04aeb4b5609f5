"""Qwen3-VL's embedding models as dual encoders: a text, picture or clip is what a user says to the model.

The vector is the state of the prompt's last token, as published (arXiv 2601.04720); the instruction is the
published default one. A clip's frames come in pairs, each behind the second it is shown at.
"""

from types import SimpleNamespace
from typing import Any

import torch

from workers.ranker.encoder.wrapped import Wrapped

INSTRUCTION = "Represent the user's input."
_BEFORE = f"<|im_start|>system\n{INSTRUCTION}<|im_end|>\n<|im_start|>user\n"
_AFTER = "<|im_end|>\n<|im_start|>assistant\n"
_TEXT, _IMAGE, _VIDEO = 0, 1, 2  # kinds of tokens


class ChatModel(Wrapped):
    """A Qwen3VLModel with the features that the other families' models have."""

    def __init__(self, inner: Any, tokenizer: Any) -> None:
        super().__init__()
        self.inner, self.config = inner, inner.config

        def ids(text: str) -> list[int]:
            found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
            return found

        self._ids, self._before, self._after = ids, ids(_BEFORE), ids(_AFTER)

    @property
    def text_model(self) -> Any:
        """What reads the prompt."""
        return self.inner.language_model

    def get_text_features(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SimpleNamespace:
        """Return pooled (n, width) and the states of each text's own tokens; padded on the right."""
        n, longest = input_ids.shape
        before, after = (input_ids.new_tensor(part) for part in (self._before, self._after))
        lengths = attention_mask.sum(dim=1)
        ids = torch.zeros((n, len(before) + longest + len(after)), dtype=torch.long, device=input_ids.device)
        mask = torch.zeros_like(ids)
        for row, length in enumerate(lengths.tolist()):
            prompt = torch.cat([before, input_ids[row, :length], after])
            ids[row, : len(prompt)], mask[row, : len(prompt)] = prompt, 1
        states = self.inner(input_ids=ids, attention_mask=mask).last_hidden_state
        pooled = states[torch.arange(n, device=ids.device), mask.sum(dim=1) - 1]
        own = states[:, len(before) : len(before) + longest]
        return SimpleNamespace(pooler_output=pooled, last_hidden_state=own)

    def get_image_features(self, pixel_values: torch.Tensor) -> SimpleNamespace:
        """Return pooled (n, width) of pictures (n, 3, height, width)."""
        depth = self.config.vision_config.temporal_patch_size
        patches, grid = self._patches(pixel_values[:, None].expand(-1, depth, -1, -1, -1))
        shown = [self.config.image_token_id] * self._tokens(grid)
        start, end = self.config.vision_start_token_id, self.config.vision_end_token_id
        return self._shown([start, *shown, end], pixel_values=patches, image_grid_thw=grid)

    def get_video_features(self, pixel_values_videos: torch.Tensor) -> SimpleNamespace:
        """Return pooled (n, width) of clips (n, frames, 3, height, width), a frame a second."""
        depth = self.config.vision_config.temporal_patch_size
        patches, grid = self._patches(pixel_values_videos)
        moment = [self.config.video_token_id] * self._tokens(grid)
        start, end = self.config.vision_start_token_id, self.config.vision_end_token_id
        shown = []
        for first in range(0, pixel_values_videos.shape[1], depth):
            shown += [*self._ids(f"<{first + (depth - 1) / 2:.1f} seconds>"), start, *moment, end]
        return self._shown(shown, pixel_values_videos=patches, video_grid_thw=grid)

    def _shown(self, prompt: list[int], **given: torch.Tensor) -> SimpleNamespace:
        n = len(next(value for name, value in given.items() if name.endswith("_thw")))
        ids = torch.tensor([[*self._before, *prompt, *self._after]] * n, device=self.device)
        kinds = torch.full_like(ids, _TEXT)
        kinds[ids == self.config.image_token_id] = _IMAGE
        kinds[ids == self.config.video_token_id] = _VIDEO
        mask = torch.ones_like(ids)
        states = self.inner(input_ids=ids, attention_mask=mask, mm_token_type_ids=kinds, **given)
        return SimpleNamespace(pooler_output=states.last_hidden_state[:, -1])

    def _patches(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cut (n, frames, 3, height, width) into the vision tower's rows, and how many each way, (n, 3)."""
        vision = self.config.vision_config
        depth, side, merged = vision.temporal_patch_size, vision.patch_size, vision.spatial_merge_size
        n, count, channels, height, width = frames.shape
        grid = count // depth, height // side, width // side
        across = (grid[1] // merged, merged, side, grid[2] // merged, merged, side)
        cut = frames.reshape(n, grid[0], depth, channels, *across).permute(0, 1, 4, 7, 5, 8, 3, 2, 6, 9)
        rows = cut.reshape(n * grid[0] * grid[1] * grid[2], channels * depth * side * side)
        return rows, torch.tensor([grid] * n, device=frames.device)

    def _tokens(self, grid: torch.Tensor) -> int:
        """Return how many tokens stand for one step in time."""
        return int(grid[0, 1] * grid[0, 2]) // int(self.config.vision_config.spatial_merge_size) ** 2
