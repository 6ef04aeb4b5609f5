"""What models that are called as transformers' dual encoders are have in common."""

import torch
from torch import nn


class Wrapped(nn.Module):
    """Towers under the names that transformers' models have; all weights are of one kind, in one place."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The weights' number type."""
        return next(self.parameters()).dtype
