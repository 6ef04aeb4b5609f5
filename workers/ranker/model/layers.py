"""The parts ReLo is made of. Attribute names are those of published checkpoints, which load by name."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Added to the score of a key that must not be seen. Finite, so that a row without any visible key stays a
# number, also in half precision; exp(-10000) is 0 in every precision.
HIDDEN = -1e4


class Projection(nn.Module):
    """Layer norm, dropout, linear, ReLU: (..., dim) -> (..., hidden)."""

    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.LayerNorm = nn.LayerNorm(dim)
        self.net = nn.Sequential(nn.Dropout(dropout), nn.Linear(dim, hidden))

    def forward(self, features: Tensor) -> Tensor:
        """Return (..., hidden), not negative."""
        projected: Tensor = self.net(self.LayerNorm(features))
        return F.relu(projected)


class Positions(nn.Module):
    """Learned positions, added and normalised: (n, length, hidden) -> the same shape."""

    def __init__(self, length: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.position_embeddings = nn.Embedding(length, hidden)
        self.LayerNorm = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Return positioned features; a sequence longer than the table is an index error."""
        positions = self.position_embeddings(torch.arange(features.shape[1], device=features.device))
        positioned: Tensor = self.dropout(self.LayerNorm(features + positions))
        return positioned


class Attention(nn.Module):
    """Multi-head attention without an output projection."""

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(hidden, hidden)
        self.key = nn.Linear(hidden, hidden)
        self.value = nn.Linear(hidden, hidden)

    def forward(self, queries: Tensor, keys: Tensor, visible: Tensor) -> Tensor:
        """Attend from (n, lq, h) to (n, lk, h); visible: (n, 1, lq or 1, lk), 1 where a key may be seen."""
        q, k, v = (self._split(x) for x in (self.query(queries), self.key(keys), self.value(keys)))
        bias = (1.0 - visible.to(q.dtype)) * HIDDEN
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout)
        return mixed.transpose(1, 2).flatten(2)

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


class Residual(nn.Module):
    """The output side of an encoder: linear, dropout, add, layer norm."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, hidden)
        self.LayerNorm = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, mixed: Tensor, features: Tensor) -> Tensor:
        """Return LN(dropout(dense(mixed)) + features)."""
        out: Tensor = self.LayerNorm(self.dropout(self.dense(mixed)) + features)
        return out


class SelfAttentionBlock(nn.Module):
    """One post-norm self-attention block without a feed-forward part."""

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.self = Attention(hidden, heads, dropout)
        self.output = Residual(hidden, dropout)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Encode (n, length, h) under mask (n, length), 1 = valid."""
        encoded: Tensor = self.output(self.self(features, features, mask[:, None, None]), features)
        return encoded


class Convolution(nn.Module):
    """A residual temporal convolution: LN(x + dropout(GELU(conv(x)))), nothing seen behind the ends."""

    def __init__(self, hidden: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv1d(hidden, hidden, kernel, padding="same")
        self.LayerNorm = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Encode (n, length, h) under mask (n, length), 1 = valid."""
        kernel, half = self.conv.kernel_size[0], self.conv.kernel_size[0] // 2
        # A matrix product: lengths change from batch to batch, and convolutions are compiled for each anew.
        seen = F.pad(features * mask[..., None], (0, 0, half, half)).unfold(1, kernel, 1).flatten(2)
        mixed = F.gelu(F.linear(seen, self.conv.weight.flatten(1), self.conv.bias))
        out: Tensor = self.LayerNorm(features + self.dropout(mixed))
        return out


class Mix(nn.Module):
    """What one stream takes over from the other, clip by clip: LN(x + dropout(linear(y)))."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, hidden)
        self.LayerNorm = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor, other: Tensor) -> Tensor:
        """Return (n, length, h)."""
        out: Tensor = self.LayerNorm(features + self.dropout(self.dense(other)))
        return out
