"""From a precision to the confidence from which on a moment counts as a match.

The ranker that judges says how: its table, fitted on judged queries with every video judged alone. A
confidence by itself promises no precision: it is fitted on the best moments of whole collections.
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
        for precision, confidence in self.table:
            if precision >= asked.precision:
                return max(asked.precision, confidence)
        most = f"at most {self.table[-1][0]:g} is supported" if self.table else "none is supported"
        raise Mismatch(
            f"precision {asked.precision:g} cannot be promised: of the judged queries that ranker "
            f"{self.ranker} was fitted on {most}; ask for a confidence (--confidence 0.9), or train on more "
            "judged videos",
            "PRECISION_NOT_REACHED",
        )


def _fusion(collection: Path, about: Version) -> dict[str, Any] | None:
    if about.ranker is None:
        return None
    card = read_json(versions.model_path(collection, about.ranker) / "config.json", dict)
    fusion = card.get("config", {}).get("decode", {}).get("fusion")
    return fusion if isinstance(fusion, dict) else None
