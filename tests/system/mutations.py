"""Protobuf messages at random, and right ones with a field changed."""

import random
from typing import Any

import numpy as np
from google.protobuf.descriptor import FieldDescriptor

INTEGERS = [0, 1, 2, 3, 10, 100, 2000, 2001, 65_537, -1]
INTEGERS += [sign * 2**bits - (sign > 0) for bits in (31, 32, 63) for sign in (1, -1)]
FLOATS = [0.0, -0.0, 1.0, 0.5, -1.0, 1e-45, 1e15, 1e38, 1e300, float("nan"), float("inf"), float("-inf")]
TEXT = [
    "",
    " ",
    "a red ball",
    "x" * 1001,
    "y" * 20_000,
    "\0",
    "\u202e\U0001f600",
    "shard-00001",
    "1" * 5000,
    "a.b",
    "../..",
]


def _fill(chance: random.Random, message: Any, depth: int) -> None:
    """Set some fields of a message at random."""
    for one in message.DESCRIPTOR.fields:
        if chance.random() < 0.6 and (one.message_type is None or depth):
            _set(chance, message, one, depth)


def _spoil(chance: random.Random, message: Any) -> None:
    """Change one field of a message, or of one inside."""
    fields = message.DESCRIPTOR.fields
    if not fields:
        return
    one = chance.choice(fields)
    inside = one.message_type is not None and not one.is_repeated
    if inside and message.HasField(one.name) and chance.random() < 0.7:
        _spoil(chance, getattr(message, one.name))
    elif one.type == FieldDescriptor.TYPE_BYTES and chance.random() < 0.7:
        data = bytearray(getattr(message, one.name))
        for _ in range(min(len(data), chance.choice([1, 4, 40]))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        setattr(message, one.name, bytes(data))
    elif chance.random() < 0.3:
        message.ClearField(one.name)
    else:
        _set(chance, message, one, 2)


def _set(chance: random.Random, message: Any, one: Any, depth: int) -> None:
    if one.is_repeated:
        values = getattr(message, one.name)
        size = chance.choice([0, 1, 2, 3, 65, 500])
        if one.message_type is not None:
            for _ in range(min(size, 65)):
                _fill(chance, values.add(), min(depth - 1, 1))
        else:
            values.extend(_value(chance, one) for _ in range(size))
    elif one.message_type is not None:
        getattr(message, one.name).SetInParent()
        _fill(chance, getattr(message, one.name), depth - 1)
    else:
        setattr(message, one.name, _value(chance, one))


def _value(chance: random.Random, one: Any) -> Any:
    if one.type == FieldDescriptor.TYPE_STRING:
        return chance.choice(TEXT)
    if one.type == FieldDescriptor.TYPE_BYTES:
        return chance.choice(
            [b"", chance.randbytes(7), np.random.default_rng(chance.randrange(99)).bytes(4096)]
        )
    if one.type == FieldDescriptor.TYPE_BOOL:
        return chance.random() < 0.5
    if one.type in (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE):
        return chance.choice(FLOATS)
    bits = {FieldDescriptor.TYPE_INT32: (-(2**31), 2**31), FieldDescriptor.TYPE_UINT32: (0, 2**32)}
    bits |= {FieldDescriptor.TYPE_INT64: (-(2**63), 2**63), FieldDescriptor.TYPE_UINT64: (0, 2**64)}
    low, high = bits.get(one.type, (0, 2**31))
    return chance.choice([number for number in INTEGERS if low <= number < high])
