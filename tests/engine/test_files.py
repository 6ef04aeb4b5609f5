import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from engine import config, files
from engine.errors import InvalidInput, Unavailable
from tests.trainer.generation.test_disk import largest_file

DEEP = 200_000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[" * DEEP + b"]" * DEEP, "nested too deeply"),
        (b'{"a":' * DEEP + b"1" + b"}" * DEEP, "nested too deeply"),
        (b'{"a": "\xff"}', "byte 7 is not UTF-8"),
        ('{"a": "\x00'.encode("utf-16")[:-1], "is not UTF-16"),
        (b'{"a": 1' + b"0" * 5000 + b"}", "the number 10000000000000000000... is beyond 1.8e308"),
        (b'{"a": "\\ud800"}', "a text in it holds half a character"),
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b'{"a": -Infinity}', "-Infinity is no JSON number"),
        (b'{"a": ', "it is not JSON"),
        (b"", "it is not JSON"),
        (b"[]", "does not hold an object"),
        (b"null", "does not hold an object"),
        (b'{"a": "' + b"x" * 1000 + b'"}', "larger than 0 MB"),
    ],
)
def test_json_that_cannot_be_used_is_refused_in_one_sentence(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as caught:
        files.read_json(path, dict, limit=900 if b"xxx" in content else files.JSON_BYTES)
    assert isinstance(caught.value, InvalidInput)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_json_is_read_in_any_unicode(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes('{"name": "é \\ud83d\\ude00"}'.encode(encoding))
    assert files.read_json(path, dict) == {"name": "é \U0001f600"}


def test_json_that_is_not_there_is_told_from_one_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.read_json(tmp_path / "x.json")
    with pytest.raises(InvalidInput, match="Is a directory"):
        files.read_json(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("{}")
    path.chmod(0)
    with pytest.raises(InvalidInput, match=r"x\.json cannot be used \(Permission denied\)"):
        files.read_json(path)


@pytest.mark.parametrize(
    "content",
    [
        "a." * 50_000 + "a = 1",
        "[" + "a." * 50_000 + "a]",
        '"a" . ' * 20_000 + "a = 1",
        "a = " + "[" * 100_000,
        "a = " + "{a=" * 50_000,
        "a = 1\n" * 200_000,
        "a = " + "1_" * 400_000 + "1",
        "a" * 900_000,
        "'" * 900_000,
    ],
)
def test_a_topology_that_would_eat_the_machine_is_refused_at_once(tmp_path: Path, content: str) -> None:
    path = tmp_path / "topology.toml"
    path.write_text(content)
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(InvalidInput, match=r"topology\.toml"):
        config.read(path)
    assert time.process_time() - began < 2
    assert tracemalloc.get_traced_memory()[1] < 500 << 20
    tracemalloc.stop()


def test_a_topology_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "topology.toml"
    path.write_bytes(b'collection = "\xff"')
    with pytest.raises(InvalidInput, match="not TOML: byte 14 is not UTF-8"):
        config.read(path)


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (28, Unavailable, "make room and run the same command again"),
        (30, InvalidInput, "use a disk that can be written"),
        (13, InvalidInput, "change its permissions"),
    ],
)
def test_an_error_of_the_disk_is_a_sentence(number: int, kind: type[Exception], words: str) -> None:
    refused = files.refusal(OSError(number, os.strerror(number), "/disk/file"))
    assert isinstance(refused, kind)
    assert str(refused).startswith("/disk/file cannot be ")
    assert words in str(refused)


def test_a_copy_onto_a_full_disk_names_the_copy() -> None:
    # As shutil has it: where from, then where to.
    told = str(files.refusal(OSError(28, "No space left on device", "from/x", None, "to/x")))
    assert told.startswith("to/x cannot be written (No space left on device)")


ROWS = np.random.default_rng(0).random((200, 200), np.float32)


def write_numpy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, ROWS)


WRITERS: dict[str, Callable[[Path], object]] = {
    "bytes": lambda path: path.write_bytes(ROWS.tobytes()),
    "numpy": write_numpy,
    "picture": lambda path: Image.fromarray((255 * ROWS).astype(np.uint8)).save(path, "png"),
    "tensors": lambda path: save_file({"rows": ROWS}, path),
}


@pytest.mark.parametrize("what", WRITERS)
def test_a_file_that_finds_no_room_is_named_whoever_writes_it(tmp_path: Path, what: str) -> None:
    def write() -> None:
        with largest_file(10_000), files.replacing(tmp_path / "out") as partial:
            WRITERS[what](partial)

    with pytest.raises(OSError, match="out") as caught:
        write()
    refused = str(files.refusal_of(caught.value))
    assert refused.startswith(str(tmp_path))
    assert refused.endswith(": make room and run the same command again.")
    assert not list(tmp_path.iterdir())


def test_an_error_that_is_no_disk_s_goes_on_with_its_cause(tmp_path: Path) -> None:
    cause, error = KeyError("id"), InvalidInput("no id")
    with pytest.raises(InvalidInput) as caught, files.replacing(tmp_path / "out"):
        raise error from cause
    assert caught.value is error
    assert caught.value.__cause__ is cause
    assert not list(tmp_path.iterdir())
