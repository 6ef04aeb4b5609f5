"""From a precision to the confidence from which on a moment counts as a match.

The ranker that judges says how: its table, fitted on judged queries with every video judged alone. Without a
table the confidence itself is the expected precision: the mean of confidences of at least c is at least c.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import versions
from engine.entries import Version
from engine.errors import Mismatch
from engine.files import read_json
from spr.v1.standing_service_pb2 import StandingSearch

REMEDY = "train one on judged queries with `spr train ranker`, then `spr build`"


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a ranker's confidences are worth. table: (precision, least confidence) pairs, ascending."""

    ranker: str
    table: tuple[tuple[float, float], ...]

    @staticmethod
    def of(collection: Path, version: str = "") -> "Calibration":
        """Return that of a version's ranker; Mismatch where it says no confidence."""
        about = versions.read(collection, version)
        fusion = _fusion(collection, about)
        name = about.ranker.fingerprint if about.ranker else "similarity-curve"
        if fusion is None:
            message = (
                f"the ranker of version {about.id} ({name}) has no calibrated confidence to judge videos by"
            )
            raise Mismatch(f"{message}; {REMEDY}", "NO_CALIBRATION")
        return Calibration(name, tuple((p, c) for p, c in fusion.get("alone") or ()))

    def threshold(self, asked: StandingSearch) -> float:
        """Return the confidence from which on a moment matches; Mismatch for a precision out of reach."""
        if asked.WhichOneof("sure") == "confidence":
            return asked.confidence
        if not self.table:
            return asked.precision
        for precision, confidence in self.table:
            if precision >= asked.precision:
                return max(asked.precision, confidence)
        raise Mismatch(
            f"precision {asked.precision:g} is out of reach: on its judged queries ranker {self.ranker} was "
            f"right in {self.table[-1][0]:g} of its surest matches; ask for at most that, or a confidence",
            "PRECISION_NOT_REACHED",
        )


def _fusion(collection: Path, about: Version) -> dict[str, Any] | None:
    if about.ranker is None:
        return None
    card = read_json(versions.model_path(collection, about.ranker) / "config.json", dict)
    fusion = card.get("config", {}).get("decode", {}).get("fusion")
    return fusion if isinstance(fusion, dict) else None
