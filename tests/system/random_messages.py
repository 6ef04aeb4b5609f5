"""Random protobuf messages: fields at random, right messages with a field spoilt, bytes changed at random."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
from google.protobuf.descriptor import FieldDescriptor

INTEGERS = [0, 1, 2, 3, 10, 100, 2000, 2001, 65_537, -1]
INTEGERS += [sign * 2**bits - (sign > 0) for bits in (31, 32, 63, 64) for sign in (1, -1)]
FLOATS = [0.0, -0.0, 1.0, 0.5, -1.0, 1e-45, 1e15, 1e38, 1e300, float("nan"), float("inf"), float("-inf")]
TEXT = [
    "",
    " ",
    "a red ball",
    "x" * 1001,
    "y" * 20_000,
    "\0",
    "\n\r\t\x1b[2J",
    "\u202e\U0001f600",
    "e" + "\u0301" * 400,
    "shard-00001",
    "1" * 5000,
    "0" * 300,
    "٣",
    "a.b",
    "../..",
    "nowhere://x",
]
# Repeated fields of one message; of messages and of numbers.
SIZES, LARGE = [0, 1, 2, 3, 65, 500], 30_000


def fill(chance: random.Random, message: Any, depth: int) -> None:
    """Set some fields of a message at random."""
    for one in message.DESCRIPTOR.fields:
        if chance.random() < 0.6 and (one.message_type is None or depth):
            _set(chance, message, one, depth)


def spoil(chance: random.Random, message: Any) -> None:
    """Change one field of a message, or of one inside."""
    fields = message.DESCRIPTOR.fields
    if not fields:
        return
    one = chance.choice(fields)
    inside = one.message_type is not None and not one.is_repeated
    if inside and message.HasField(one.name) and chance.random() < 0.7:
        spoil(chance, getattr(message, one.name))
    elif one.is_repeated and one.message_type and getattr(message, one.name) and chance.random() < 0.5:
        spoil(chance, chance.choice(getattr(message, one.name)))
    elif one.type == FieldDescriptor.TYPE_BYTES and chance.random() < 0.7:
        data = bytearray(getattr(message, one.name))
        for _ in range(min(len(data), chance.choice([1, 4, 40]))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        setattr(message, one.name, bytes(data))
    elif chance.random() < 0.3:
        message.ClearField(one.name)
    else:
        _set(chance, message, one, 2)


def mutate(chance: random.Random, data: bytes) -> bytes:
    """Change a message's bytes: what is left may be a message or none."""
    for _ in range(chance.choice([1, 1, 2, 5])):
        data = chance.choice(_MUTATIONS)(chance, data)
    return data


def _set(chance: random.Random, message: Any, one: Any, depth: int) -> None:
    if one.is_repeated:
        values = getattr(message, one.name)
        size = chance.choice(SIZES)
        if one.message_type is not None:
            for _ in range(min(size, 65)):
                fill(chance, values.add(), min(depth - 1, 1))
        elif chance.random() < 0.02:
            values.extend([_value(chance, one, small=True)] * LARGE)
        else:
            values.extend(_value(chance, one) for _ in range(size))
    elif one.message_type is not None:
        getattr(message, one.name).SetInParent()
        fill(chance, getattr(message, one.name), depth - 1)
    else:
        setattr(message, one.name, _value(chance, one))


def _value(chance: random.Random, one: Any, small: bool = False) -> Any:
    if one.type == FieldDescriptor.TYPE_STRING:
        return chance.choice([text for text in TEXT if len(text) < 30] if small else TEXT)
    if one.type == FieldDescriptor.TYPE_BYTES:
        return chance.choice(
            [b"", chance.randbytes(7), np.random.default_rng(chance.randrange(99)).bytes(4096)]
        )
    if one.type == FieldDescriptor.TYPE_BOOL:
        return chance.random() < 0.5
    if one.type in (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE):
        return chance.choice(FLOATS)
    bits = {FieldDescriptor.TYPE_UINT32: (0, 2**32), FieldDescriptor.TYPE_UINT64: (0, 2**64)}
    bits |= {FieldDescriptor.TYPE_INT64: (-(2**63), 2**63)}
    # An enum takes every int32, known or not.
    low, high = bits.get(one.type, (-(2**31), 2**31))
    return chance.choice([number for number in INTEGERS if low <= number < high])


def _flip(chance: random.Random, data: bytes) -> bytes:
    if not data:
        return data
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]


def _cut(chance: random.Random, data: bytes) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _leave_out(chance: random.Random, data: bytes) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + data[at + chance.choice([1, 2, 8]) :]


def _insert(chance: random.Random, data: bytes) -> bytes:
    """Insert random bytes, bytes that are no UTF-8, an overlong or huge varint, or groups in groups."""
    at = chance.randrange(len(data) + 1)
    pieces = [b"\xff\xfe", b"\x80" * 11, b"\xff\xff\xff\xff\x0f", b"\x0b" * 200, b"\x1a\x03\xc3\x28\xff"]
    return data[:at] + chance.choice([*pieces, chance.randbytes(4)]) + data[at:]


def _repeat(chance: random.Random, data: bytes) -> bytes:
    """Say a message twice or often: fields that are set again are merged."""
    return data * chance.choice([2, 3, 50]) if len(data) < 10_000 else data


_MUTATIONS: list[Callable[[random.Random, bytes], bytes]] = [_flip, _cut, _leave_out, _insert, _repeat]
