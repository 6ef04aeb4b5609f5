"""Lazy tensors: a type, a shape and a place in a file, read when asked for."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch

Bytes = Callable[[], bytes]


@dataclass(frozen=True)
class Storage:
    """Numbers in the file: their type, how many, and how to read their bytes."""

    dtype: torch.dtype
    values: int
    read: Bytes

    @cached_property
    def content(self) -> bytearray:
        """The bytes, read once for all tensors that share them."""
        return bytearray(self.read())


@dataclass(frozen=True, slots=True)
class UnreadTensor:
    """A tensor that has not been read: a view of a storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def tensor(self) -> torch.Tensor:
        """Read it; ValueError when it reaches beyond its storage."""
        dtype, values = self.storage.dtype, self.storage.values
        size = math.prod(self.shape)
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        if min((self.offset, *self.shape, *self.strides)) < 0 or (size and not size <= values > last):
            raise ValueError(f"a tensor of shape {self.shape} reaches beyond its {values} values")
        if not size:
            return torch.zeros(self.shape, dtype=dtype)
        content = self.storage.content
        if len(content) != values * dtype.itemsize:
            raise ValueError(f"a storage has {len(content)} bytes for its {values} values")
        return (
            torch.frombuffer(content, dtype=dtype).as_strided(self.shape, self.strides, self.offset).clone()
        )
