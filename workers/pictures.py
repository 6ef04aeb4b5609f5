"""Picture files to what the vision tower reads, as frames of videos are at ingest."""

import io

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput

FORMATS = ("JPEG", "PNG", "WEBP")
MOST_PIXELS = 32 << 20
# Of a file that is sent: a message of gRPC has at most 4 MiB. Encoders look at 224 to 512 pixels.
MOST_SENT, SENT_EDGE = 380_000, 512
# A progressive JPEG is painted once a scan: a small file could ask for thousands of large paintings.
MOST_SCANS = 100


def small_picture(data: bytes, edge: int) -> NDArray[np.uint8]:
    """Return a picture file as (h, w, 3) uint8 RGB, turned as its camera says, short side at most `edge`.

    What is see-through becomes white; of several pictures the first is taken. InvalidInput for what is no
    JPEG, PNG or WebP, is damaged, or is too large: that is refused before it is decoded.
    """
    from av.video.frame import VideoFrame

    from workers.upright import upright

    return upright(VideoFrame.from_ndarray(_pixels(data), "rgb24"), edge)


def sendable(data: bytes) -> bytes:
    """Return a picture file as it is, or a smaller one where ten such would not fit a message.

    InvalidInput where it is none that a service reads: who sends it knows its name.
    """
    small = small_picture(data, SENT_EDGE)
    return data if len(data) <= MOST_SENT else jpeg(small)


def jpeg(image: NDArray[np.uint8]) -> bytes:
    """Return (h, w, 3) uint8 RGB as a JPEG file that shows what the picture does."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(image).save(out, "JPEG", quality=95)
    return out.getvalue()


def _pixels(data: bytes) -> NDArray[np.uint8]:
    """Return all pixels of a picture file."""
    from PIL import Image, ImageOps

    try:
        # Only the header is read here.
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check(image.width, image.height, image.format, data)
            turned = ImageOps.exif_transpose(image)
            if turned.mode.startswith("I;16"):
                turned = Image.fromarray((np.asarray(turned) >> 8).astype(np.uint8))
            if turned.has_transparency_data:
                seen = turned.convert("RGBA")
                turned = Image.new("RGBA", seen.size, "white")
                turned.alpha_composite(seen)
            return np.ascontiguousarray(turned.convert("RGB"))
    except InvalidInput:
        raise
    # Pillow's parsers raise whatever comes up in a damaged file, and warn of one that is too large.
    except Exception as error:
        raise InvalidInput(
            f"the picture of {len(data)} bytes cannot be read; send a whole JPEG, PNG or WebP file"
        ) from error


def _check(width: int, height: int, kind: str | None, data: bytes) -> None:
    if width * height > MOST_PIXELS:
        raise InvalidInput(
            f"the picture has {width} x {height} pixels, more than {MOST_PIXELS:,}; send a smaller one"
        )
    if kind == "JPEG" and data.count(b"\xff\xda") > MOST_SCANS:
        raise InvalidInput(f"the picture is a JPEG of more than {MOST_SCANS} scans; save it as another")
