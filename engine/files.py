"""Files: atomic writes (temporary file, fsync, rename), checksums, and readers with size limits."""

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from engine.errors import InvalidInput, SprError, Unavailable, of_machine
from engine.partials import LONGEST_NAME, partial_of

# Parsed JSON takes some ten times its size in memory.
JSON_BYTES = 512 << 20
TOML_BYTES = 1 << 20
TOML_DEPTH = 16

# A bare part begins where a word does and is taken whole: a long word is looked at once.
_PART = r"""(?:(?<![A-Za-z0-9_-])[A-Za-z0-9_-]++|"[^"\n]*"|'[^'\n]*')"""
_DEEP_KEY = re.compile(rf"{_PART}(?:[ \t]*\.[ \t]*{_PART}){{{TOML_DEPTH},}}")
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*+"')
# Digits or an exponent as of a number that no float64 holds; a hash may look so, too.
_LARGE = re.compile(r"[0-9]{300}|[0-9][eE]\+?[0-9]{3}")
# What reading a value raises where it is of another shape than it should be.
MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_WITHOUT_NUMBER = re.compile(r"\d+ requested and \d+ written")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class BadJson(InvalidInput, ValueError):
    """A file that is not the expected JSON. `why`: the reason alone, for a caller's own sentence."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} cannot be used: {why}; restore it from a copy or write it again.")
        self.why = why


def sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; sync and rename it on success, remove it on failure.

    Raises a disk's error, also a library's own, as OSError that names a file.
    """
    make_folder(path.parent)
    partial = partial_of(path)
    try:
        with disk_errors(path):
            yield partial
            sync(partial)
            partial.replace(path)
            sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Flush a file or a directory to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path) -> None:
    """Make a directory and those above it; each is on disk when this returns."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path, kind: type | None = None, limit: int = JSON_BYTES) -> Any:
    """Read a JSON file in UTF-8, -16 or -32, with a byte order mark or not; `kind` is what it must hold.

    Raises BadJson, which is a ValueError, for one that is too large or too deep, not Unicode, not strict JSON
    (NaN) or of another kind; FileNotFoundError where it is not there, InvalidInput where it cannot be read.
    """
    text = _read_text(path, limit, json.detect_encoding)

    def refuse(name: str) -> NoReturn:
        # Texts hold no line feed, so lines keep their numbers without them.
        before = _TEXT.sub("", text).partition(name)[0]
        raise ValueError(f"line {before.count(chr(10)) + 1}: {name} is no JSON number; write a finite one")

    try:
        value = json_value(text, parse_constant=refuse)
    except RecursionError:
        raise BadJson(path, "its JSON is nested too deeply") from None
    except ValueError as error:
        raise BadJson(path, f"it is not JSON ({error})") from None
    if kind is not None and not isinstance(value, kind):
        wanted = "an object" if kind is dict else "a list" if kind is list else kind.__name__
        raise BadJson(path, f"it does not hold {wanted}")
    return value


def json_value(text: str, **hooks: Any) -> Any:
    """Parse JSON; RecursionError where it is too deep, ValueError with a plain reason where it is none.

    A number beyond those of float64 is none: it would be infinite, or overflow where it is used. hooks: the
    parser's, parse_constant and object_pairs_hook.
    """
    # The parser is faster without; a text that may have such a number is rare.
    number = _finite if _LARGE.search(text) else None
    value = json.loads(text, parse_float=number, parse_int=number, **hooks)
    if "\\ud" in text or "\\uD" in text:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("a text in it holds half a character, an unpaired \\ud800 to \\udfff") from None
    return value


def _finite(number: str) -> int | float:
    if not math.isfinite(float(number)):
        raise ValueError(f"the number {number[:20]}... is beyond 1.8e308")
    return float(number) if set(number) & set(".eE") else int(number)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; FileNotFoundError where it is not there, InvalidInput for one that cannot be used.

    The parser is quadratic in a key's depth, so size and depth are limited before it runs.
    """
    try:
        text = _read_text(path, TOML_BYTES)
    except BadJson as error:
        raise InvalidInput(f"{path} is not TOML: {error.why}.") from None
    if _DEEP_KEY.search(text):
        raise InvalidInput(f"{path} has a key of more than {TOML_DEPTH} parts; settings here have two.")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise InvalidInput(f"{path} is nested too deeply; settings here have two levels.") from None
    except ValueError as error:  # TOMLDecodeError is one, and so is a number of too many digits
        raise InvalidInput(f"{path} is not TOML: {error}") from None


def read_name(path: Path) -> str:
    """Read the one name that a file such as CURRENT holds; InvalidInput where it cannot be."""
    try:
        name = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not UTF-8: write the name into it again, or remove it.") from None
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise refusal(error, path) from None
    if not name:
        raise InvalidInput(f"{path} is empty: write the name into it again, or remove it.")
    if not name.isprintable() or "/" in name or len(name.encode()) > LONGEST_NAME:
        raise InvalidInput(f"{path} holds no name: write the name into it again, or remove it.")
    return name


def _read_text(path: Path, limit: int, encoding: Callable[[bytes], str] = lambda _: "utf-8-sig") -> str:
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise refusal(error, path) from None
    if len(content) > limit:
        raise BadJson(path, f"it is larger than {limit / 2**20:.0f} MB")
    name = encoding(content)
    try:
        return content.decode(name)
    except UnicodeDecodeError as error:
        raise BadJson(path, f"byte {error.start} is not {name.removesuffix('-sig').upper()}") from None


def refusal_of(error: Exception, path: Path | None = None) -> SprError | None:
    """Return a refusal, or that of a file's, disk's or the machine's error; else None. path: as `refusal`."""
    if not isinstance(error, OSError):
        return error if isinstance(error, SprError) else of_machine(error)
    numbered = error.errno in (*_NO_ROOM, errno.EROFS, errno.EIO) or _WITHOUT_NUMBER.fullmatch(str(error))
    disks = error.filename is not None or numbered
    return of_machine(error) or (refusal(error, path) if disks else None)


def as_os_error(error: Exception, path: Path) -> OSError | None:
    """Recover the OSError from a library's own exception, by its text, NumPy's too; None if there is none."""
    if _WITHOUT_NUMBER.fullmatch(str(error)):
        return OSError(errno.ENOSPC, str(error), str(path))
    for number in (*_NO_ROOM, errno.EROFS, errno.EACCES, errno.EIO):
        if os.strerror(number) in str(error) or f"os error {number})" in str(error):
            return OSError(number, os.strerror(number), str(path))
    return None


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Have whatever writes `path` raise its disk errors as OSError with a file's name."""
    try:
        yield
    except Exception as error:
        named = isinstance(error, SprError) or (isinstance(error, OSError) and error.filename is not None)
        if found := None if named else as_os_error(error, path):
            raise found from None
        raise


def is_full(error: OSError) -> bool:
    """Whether a disk, or a user's share of it, has no room."""
    return error.errno in _NO_ROOM


def refusal(error: OSError, path: Path | str | None = None) -> SprError:
    """Translate a disk error into an SprError with the file, the reason and a remedy."""
    # A copy names where it comes from, then where it goes, which is what has no room or is a directory.
    copy = error.filename2 if error.errno in (*_NO_ROOM, errno.EISDIR) else None
    name = path or copy or error.filename or "a file"
    why = error.strerror or str(error)
    if error.errno in _NO_ROOM or _WITHOUT_NUMBER.fullmatch(why):
        message = f"{name} cannot be written ({why}): make room and run the same command again."
        return Unavailable(message, "DISK_FULL")
    if error.errno == errno.EROFS:
        return InvalidInput(f"{name} cannot be written ({why}): use a disk that can be written.")
    if isinstance(error, PermissionError):
        return InvalidInput(f"{name} cannot be used ({why}): run as its owner, or change its permissions.")
    return InvalidInput(f"{name} cannot be used ({why}).")


def fingerprint(*parts: bytes) -> str:
    """Return the 16 hex digits that name a model: SHA-256 over its parts, each with its length."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()[:16]
