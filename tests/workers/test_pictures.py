"""Picture files that people send: the right ones as ingest sees frames, all others refused by a sentence."""

import io
from typing import Any

import numpy as np
import pytest
from av.video.frame import VideoFrame
from PIL import Image

from engine.errors import InvalidInput
from workers.pictures import MOST_PIXELS, MOST_SENT, SENT_EDGE, sendable, small_picture
from workers.upright import upright


def file_of(image: Image.Image, kind: str = "PNG", **settings: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **settings)
    return out.getvalue()


def noise(width: int = 40, height: int = 24) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_picture_is_scaled_as_a_frame_of_a_video(kind: str) -> None:
    image = noise()
    frame = VideoFrame.from_ndarray(np.asarray(image), "rgb24")
    found = small_picture(file_of(image, kind, lossless=True), 16)
    np.testing.assert_array_equal(found, upright(frame, 16))
    assert found.shape == (16, 26, 3)


def test_a_picture_is_turned_as_its_camera_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    assert small_picture(file_of(noise(), "JPEG", exif=exif), 100).shape == (40, 24, 3)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_see_through_is_white(mode: str) -> None:
    image = Image.new("RGBA", (8, 8), (255, 0, 0, 0)).convert(mode)
    settings: dict[str, Any] = {"transparency": image.getpixel((0, 0))} if mode == "P" else {}
    assert (small_picture(file_of(image, **settings), 8) == 255).all()


def test_sixteen_bits_are_as_bright_as_eight() -> None:
    grey = Image.fromarray(np.full((8, 8), 128 << 8, np.uint16))
    assert (small_picture(file_of(grey), 8) == 128).all()


BOMB = file_of(Image.new("1", (8192, MOST_PIXELS // 8192 + 1)))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "whole JPEG, PNG or WebP"),
        (b"\x89PNG\r\n\x1a\n and no more", "whole JPEG, PNG or WebP"),
        (file_of(noise(), "GIF"), "whole JPEG, PNG or WebP"),
        (file_of(noise(), "JPEG")[:-200], "whole JPEG, PNG or WebP"),
        (BOMB, "8192 x 4097 pixels, more than 33,554,432"),
        (file_of(noise(), "JPEG") + 101 * b"\xff\xda", "more than 100 scans"),
    ],
    ids=["empty", "a header", "another format", "cut", "a bomb", "scans"],
)
def test_a_bad_picture_is_refused(data: bytes, words: str) -> None:
    assert len(data) < 100_000
    with pytest.raises(InvalidInput, match=words):
        small_picture(data, 16)
    with pytest.raises(InvalidInput, match=words):
        sendable(data)


def test_a_large_picture_is_sent_as_a_small_one() -> None:
    large, small = file_of(noise(700, 600)), file_of(noise())
    assert sendable(small) == small
    assert len(sent := sendable(large)) <= MOST_SENT < len(large)
    assert min(Image.open(io.BytesIO(sent)).size) == SENT_EDGE
