"""What a file may cost: hostile ones are refused early, large ones decoded in little memory."""

import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from tests.trainer.ingest.factories import regular, write_video
from trainer.ingest.errors import BadVideo
from trainer.ingest.limits import Budget, Limits, decoder_threads
from trainer.ingest.video import VideoReport, VideoSampler

READ = """
import re, sys, time
from fractions import Fraction
from pathlib import Path
from trainer.ingest.errors import BadVideo
from trainer.ingest.video import VideoSampler

began = time.process_time()
told = "read"
try:
    for _ in VideoSampler(Path(sys.argv[1]), Fraction(1), 224, threads=16):
        pass
except BadVideo as error:
    told = f"{error.kind} {error}"
# What getrusage tells begins with the memory of the process that started this one.
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024)
print(time.process_time() - began)
print(told)
"""


def cost(path: Path) -> tuple[int, float, str]:
    """Read a file in a process of its own; return its MB at most, its seconds of work, and how it ended."""
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)],
        capture_output=True,
        check=True,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    memory, seconds, told = done.stdout.splitlines()
    return int(memory), float(seconds), told


def read(path: Path, limits: Limits) -> VideoReport:
    sampler = VideoSampler(path, Fraction(1), 32, limits=limits, threads=1)
    for _ in sampler:
        pass
    assert sampler.report is not None
    return sampler.report


def gif(path: Path, width: int, height: int) -> Path:
    """Write three pictures of any size in 89 bytes."""
    size = struct.pack("<HH", width, height)
    frame = b"\x21\xf9\x04\0\x0a\0\0\0\x2c\0\0\0\0" + size + b"\0\x02\x02\x44\x01\0"
    path.write_bytes(b"GIF89a" + size + b"\x80\0\0" + bytes(6) + frame * 3 + b";")
    return path


def lying(path: Path) -> Path:
    """Tell a small size in the container where the pictures are large."""
    write_video(path, [0], size=(16384, 4112), options={"preset": "ultrafast"})
    data = bytearray(path.read_bytes())
    place = data.index(b"avc1", data.index(b"stsd")) + 28
    data[place : place + 4] = struct.pack(">HH", 64, 48)
    path.write_bytes(data)
    return path


def far(path: Path) -> Path:
    """Write twelve pictures nearly a day apart each."""
    return write_video(path, [i * 86_000_000 for i in range(12)])


needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")


@needs_proc
@pytest.mark.parametrize(
    ("make", "name", "option"),
    [
        (lambda path: gif(path, 16000, 16000), "a.gif", "--max-pixels 256000000"),
        (lambda path: gif(path, 65535, 65535), "a.gif", "--max-pixels"),
        (far, "a.mkv", "--max-hours 263"),
        (lying, "a.mp4", "--max-pixels 67371008"),
    ],
    ids=["gif", "largest", "far", "lying"],
)
def test_a_hostile_file_is_refused_early(
    tmp_path: Path, make: Callable[[Path], Path], name: str, option: str
) -> None:
    memory, seconds, told = cost(make(tmp_path / name))
    assert told.startswith("too-large ")
    assert option in told
    assert memory < 500
    assert seconds < 2


@needs_proc
def test_a_large_picture_is_decoded_in_little_memory(tmp_path: Path) -> None:
    """A file of any length: a decoder with 16 threads, and all that is held beside it."""
    fast = {"preset": "ultrafast", "x264-params": "bframes=3:ref=4"}
    path = write_video(tmp_path / "a.mp4", regular(3, 8), rate=8, size=(3840, 2160), options=fast)
    memory, _, told = cost(path)
    assert told == "read"
    assert memory < 600


def test_the_options_lift_the_limits(tmp_path: Path) -> None:
    path = gif(tmp_path / "a.gif", 1000, 100)
    with pytest.raises(BadVideo, match=r"1000 x 100 pixels, more than 99,999; .* --max-pixels 100000"):
        read(path, Limits(pixels=99_999))
    assert read(path, Limits(pixels=100_000)).frames == 3
    slow = write_video(tmp_path / "a.mp4", [0, 20_000_000])
    with pytest.raises(
        BadVideo, match=r"5.6 hours, more than 1.0 for 2 pictures in .* bytes; .*--max-hours 6"
    ):
        read(slow, Limits())
    assert read(slow, Limits(hours=6)).rows > 20_000
    with pytest.raises(
        BadVideo, match=r"reach 5.6 hours, more than 5.0; if they are right, pass --max-hours 6"
    ):
        read(slow, Limits(hours=5))


def test_many_bytes_or_pictures_are_worth_many_hours() -> None:
    day = 24 * 3600
    Limits().check_rows(day, Fraction(1), pictures=1500, size=1000)
    Limits().check_rows(day, Fraction(1), pictures=5, size=100_000_000)
    Limits().check_rows(day // 24, Fraction(1), pictures=1, size=100)
    with pytest.raises(BadVideo, match="lower --fps"):
        Limits(hours=10**6).check_rows(10**6 + 1, Fraction(1), 10**9, 10**12)


def test_a_strange_pixel_aspect_takes_no_memory(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [0], pixel_aspect=Fraction(60_000, 1))
    (sample,) = VideoSampler(path, Fraction(1), 32, threads=1)
    assert sample.image.nbytes < 300_000


def test_large_pictures_get_fewer_threads() -> None:
    assert decoder_threads(64, 1920 * 1080) == 16
    assert decoder_threads(0, 640 * 480) == 16
    assert decoder_threads(4, 3840 * 2160) == 4
    assert decoder_threads(64, 64 << 20) == 1


def test_what_is_shared_is_taken_in_turn() -> None:
    budget = Budget(10)
    order: list[str] = []
    assert budget.take(6)

    def second() -> None:
        budget.take(6)
        order.append("taken")

    waiting = threading.Thread(target=second)
    waiting.start()
    order.append("given")
    budget.give(6)
    waiting.join()
    assert order == ["given", "taken"]
    # More than there is: alone.
    budget.give(6)
    assert budget.take(1000)
    budget.stop()
    assert not budget.take(1)
