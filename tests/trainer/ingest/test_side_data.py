"""What lies beside pictures: however they are turned, and whatever else is there."""

import gc
import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.packet import Packet
from av.video.frame import VideoFrame
from PIL import Image

from tests.trainer.ingest.factories import regular, write_video
from trainer.ingest.video import VideoSampler


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_no_picture_stays_in_memory_till_garbage_is_collected(tmp_path: Path, uncollected: None) -> None:
    sampler = VideoSampler(write_video(tmp_path / "a.mp4", regular(5, 10)), Fraction(2), 32)
    assert len(list(sampler)) > 5
    assert sampler.decoded > 20
    held = [kept for kept in gc.get_objects() if isinstance(kept, VideoFrame) and kept.width == 64]
    assert len(held) <= 2


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, -1), (8, 1)])
def test_a_camera_s_exif_beside_each_picture_is_no_obstacle(
    tmp_path: Path, orientation: int, turns: int
) -> None:
    """PyAV does not know that kind, and lists nothing where one is."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:24] = 200
    exif, picture, path = Image.Exif(), io.BytesIO(), tmp_path / "a.avi"
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(picture, "JPEG", exif=exif)
    with av.open(path, "w") as out:
        stream = out.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for index in range(10):
            packet = Packet(picture.getvalue())
            packet.pts = packet.dts = index
            packet.stream, packet.time_base = stream, Fraction(1, 10)
            out.mux(packet)
    found = next(iter(VideoSampler(path, Fraction(2), 48))).image
    wanted = np.rot90(pixels, turns)
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).mean() < 10
