"""A pickle's program, run on nothing but plain containers and tensors not yet read.

A pickle is a program: it names functions and calls them. Here it can name anything and reach nothing but
unread tensors and plain containers; every other name becomes an `Inert` class, whose making, calling and
filling do nothing. A tensor stays an `UnreadTensor` until it is asked for, so what is not wanted, such as
an optimiser's state, is not even read.

What a file costs is bounded by its size: no room is made for bytes that are not there, tuples are no keys
(the hash of nested ones takes for ever), and a program has a limited number of steps.
"""

import io
import pickle
import reprlib
from collections.abc import Callable, Mapping
from typing import IO, Any, ClassVar

import torch

from trainer.formats.unread import Bytes, Storage, UnreadTensor

DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
# A published checkpoint, its optimiser's state included, takes some ten thousand.
MAX_STEPS = 500_000
# Steps charged for every unknown name.
CLASS_STEPS = 100
MAX_AXES = 16


class Inert:
    """Stands for an object of a class or a function that is not known; `origin` names it."""

    origin = "unknown"

    def __new__(cls, *args: object, **kwargs: object) -> "Inert":
        """Return a stand-in, whatever is given."""
        return object.__new__(cls)

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Keep nothing."""

    def ignore(self, *args: object, **kwargs: object) -> "Inert":
        """Do nothing."""
        return self

    __call__ = __setstate__ = __setitem__ = append = extend = add = ignore


class Plain(dict[Any, Any]):
    """Stands for an OrderedDict, an EasyDict and their like.

    steps: what copies of items are charged to; every reader makes a class of its own.
    """

    __slots__ = ()
    steps: ClassVar["_Steps"]

    def __init__(self, items: Any = (), /) -> None:
        self.steps.spend(len(items))
        super().__init__(items)

    def __setstate__(self, state: object) -> None:
        """Take the items of a dict that kept them as attributes alone."""
        if isinstance(state, dict) and not self:
            self.steps.spend(len(state))
            self.update(state)


class _Tuple(tuple[Any, ...]):
    """A tuple without a hash and with a short repr: either takes exponential time on nested tuples."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"({len(self)} values)"


class _Known:
    """A function that may be called. Not a plain one: a pickle can change a function's attributes."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *args: Any) -> Any:
        return self._call(*args)


# Not pickle.Unpickler: written in C, it takes memory for whatever number a pickle gives an object.
class BoundedUnpickler(pickle._Unpickler):
    """Reads one pickle; `content(key)` tells how to read a storage's bytes."""

    def __init__(self, stream: IO[bytes], content: Callable[[str], Bytes]) -> None:
        super().__init__(_Bounded(stream), encoding="utf-8")
        self.content = content
        self.storages: dict[str, Storage] = {}
        self.steps = _Steps(self.dispatch)
        self.dispatch = self.steps  # type: ignore[misc]
        plain = type("Plain", (Plain,), {"__slots__": (), "steps": self.steps})
        self.known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): plain,
            ("easydict", "EasyDict"): plain,
            ("builtins", "dict"): plain,
            ("torch._utils", "_rebuild_tensor"): _Known(_unread),
            ("torch._utils", "_rebuild_tensor_v2"): _Known(_unread),
            ("torch._utils", "_rebuild_parameter"): _Known(lambda data, *_: data),
            **{("torch", name): dtype for name, dtype in DTYPES.items()},
        }

    def find_class(self, module: str, name: str) -> Any:
        """Return what a name may be here; nothing is imported."""
        module = {"__builtin__": "builtins", "torch.storage": "torch"}.get(module, module)
        if (module, name) not in self.known:
            self.steps.spend(CLASS_STEPS)
            self.known[module, name] = type("Inert", (Inert,), {"origin": f"{module}.{name}"})
        return self.known[module, name]

    def persistent_load(self, pid: Any) -> Any:
        """Return the storage that a pickle refers to."""
        kind, dtype, key, _, values, *rest = pid
        known = kind == "storage" and isinstance(dtype, torch.dtype) and rest in ([], [None])
        if not known or not isinstance(key, str) or not isinstance(values, int):
            raise ValueError(f"it refers to a {reprlib.repr(kind)} of an unknown form")
        return self.storages.setdefault(key, Storage(dtype, values, self.content(key)))


class _Steps(dict[int, Any]):
    """What every opcode does, and how many steps are left."""

    def __init__(self, known: Mapping[int, Any]) -> None:
        sets = {
            pickle.EMPTY_SET[0]: lambda reader: reader.append(Inert()),
            pickle.FROZENSET[0]: _replace_by_inert,
        }
        tuples = {
            pickle.EMPTY_TUPLE[0]: lambda reader: reader.append(_Tuple()),
            pickle.TUPLE[0]: _tuple,
            **{code: _tuple_of(n + 1) for n, code in enumerate(b"\x85\x86\x87")},
        }
        super().__init__(
            {
                **known,
                **sets,
                **tuples,
            }
        )
        # Reading one makes room for as many bytes as it says; torch writes none.
        del self[pickle.BYTEARRAY8[0]]
        self.left = MAX_STEPS

    def __getitem__(self, code: int) -> Any:
        self.spend(1)
        return super().__getitem__(code)

    def spend(self, steps: int) -> None:
        """Take steps; ValueError where too few are left."""
        self.left -= steps
        if self.left < 0:
            raise ValueError(f"its program has more than {MAX_STEPS:,} steps")


def _tuple(reader: Any) -> None:
    values = reader.pop_mark()
    reader.append(_Tuple(values))


def _tuple_of(count: int) -> Callable[[Any], None]:
    def make(reader: Any) -> None:
        reader.stack[-count:] = [_Tuple(reader.stack[-count:])]

    return make


def _replace_by_inert(reader: Any) -> None:
    reader.pop_mark()
    reader.append(Inert())


class _Bounded:
    """A stream that reads no more bytes than are left of it, whatever length a pickle claims."""

    def __init__(self, stream: IO[bytes]) -> None:
        at = stream.tell()
        self._stream, self._end = stream, stream.seek(0, io.SEEK_END)
        stream.seek(at)

    def read(self, count: int) -> bytes:
        return self._stream.read(max(0, min(count, self._end - self._stream.tell())))

    def readline(self) -> bytes:
        return self._stream.readline()


def _unread(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> UnreadTensor:
    if not isinstance(storage, Storage):
        raise ValueError("it has a tensor without a storage")
    numbers = (offset, *shape[:MAX_AXES], *strides[:MAX_AXES])
    if max(len(shape), len(strides)) > MAX_AXES or not all(map(_is_place, numbers)):
        raise ValueError("it has a tensor of an impossible shape")
    return UnreadTensor(storage, offset, tuple(shape), tuple(strides))


def _is_place(value: object) -> bool:
    return isinstance(value, int) and abs(value) < 1 << 63
