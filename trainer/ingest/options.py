"""What an ingest is asked."""

from dataclasses import dataclass
from fractions import Fraction

from trainer.ingest.encoders import ClipEncoder
from trainer.ingest.limits import DEFAULT, Limits
from workers.feature_store.shares import WHOLE, Share


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """fps: rows a second. edge: pixels of a frame's short side. dtype: of the store. limit: files, 0 = all.

    readers: files decoded at a time, 0 = one a core, at most 16. encoders: batches encoded at a time.
    apart: decode in processes of their own; None = where there is enough to decode. None of the three
    changes a row. forget: ids to take out first. settings: what else decides a row, as text. pictures: keep
    small ones for the web page. share: of the files, where several ingest at the same time.
    clips: encodes segments beside the frames, None for frames alone.
    """

    fps: Fraction = Fraction(1)
    edge: int = 224
    batch_size: int = 64
    dtype: str = "float16"
    keep_truncated: bool = False
    limit: int = 0
    readers: int = 0
    encoders: int = 1
    apart: bool | None = None
    forget: tuple[str, ...] = ()
    settings: str = ""
    pictures: bool = True
    limits: Limits = DEFAULT
    share: Share = WHOLE
    clips: ClipEncoder | None = None
