"""Run files: answers on disk.

    {"stages": {"coarse": {"<query id>": [{"video_name", "timestamp": [start, end], "score"}, ...], ...},
                "refined": {...}},
     "about": {"truth": {"file", "sha256"}, "segment_length", "versions", ...}}

Lists are best first. A moment may carry a `confidence`, the probability 0..1 that it is right. `about` says
what the run answers and who answered; it may be missing. The published form, one stage without scores, is
read as stage "coarse":

    {"<query id>": [{"timestamp": [start, end], "video_name", "moment_rank"}, ...]}

A .jsonl file holds predictions of the QVHighlights family (trainer/formats/moments.py), read as "refined".
"""

import math
import re
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engine.errors import InvalidInput, NotFound
from engine.files import read_json, sha256, write_json
from engine.printable import in_utf8
from trainer.collection.checks import check_duration, check_number, check_span
from trainer.evaluation.judged import Ranking
from trainer.formats.moments import load_predictions

RETRIEVAL = "retrieval"
COARSE = "coarse"
REFINED = "refined"
STAGES = (RETRIEVAL, COARSE, REFINED)
# What no run file has at its top.
_OF_REPORT = {"protocol", "intervals"}


class Predicted(NamedTuple):
    """One answered moment: seconds from the first frame; higher scores are better, or None where unknown.

    confidence: the probability 0..1 that the moment is right, None where it is unknown.
    """

    video: str
    start: float
    end: float
    score: float | None = None
    confidence: float | None = None


Answers = Mapping[int, Sequence[Predicted]]
Run = Mapping[str, Answers]


def rankings(answers: Answers) -> dict[int, Ranking]:
    """Return every query's answer as columns."""
    return {query_id: _ranking(rows) for query_id, rows in answers.items()}


def _ranking(rows: Sequence[Predicted]) -> Ranking:
    sure = None
    if any(row.confidence is not None for row in rows):
        sure = np.array([math.nan if row.confidence is None else row.confidence for row in rows])
    return Ranking.of([row.video for row in rows], [(row.start, row.end) for row in rows], sure)


def save_run(path: Path, run: Run, about: Mapping[str, Any] | None = None) -> None:
    """Write a run file, atomically; `about`: what else there is to say of it."""
    stages = {
        stage: {str(query_id): [_entry(row) for row in rows] for query_id, rows in answers.items()}
        for stage, answers in run.items()
    }
    write_json(path, {"stages": stages} | ({"about": dict(about)} if about else {}))


def load_about(path: Path) -> dict[str, Any]:
    """Return what a run file says of itself, {} where it says nothing; errors as `load_run`."""
    value = _parsed(path) if path.suffix != ".jsonl" else {}
    about = value.get("about", {})
    if not isinstance(about, dict):
        return {}
    versions, length = about.get("versions", {}), about.get("segment_length", 1)
    if not isinstance(versions, dict):
        raise InvalidInput(f"{path}: 'versions' of its about is {reprlib.repr(versions)}; write an object.")
    check_duration(length, f"{path}: 'segment_length' of its about")
    return about


def truth_card(path: Path) -> dict[str, str]:
    """Return how a run file names the truth it answers."""
    return {"file": in_utf8(path), "sha256": sha256(path)}


def truth_of(path: Path) -> Path:
    """Return the truth that a run file names; InvalidInput where it names none that is there unchanged."""
    card = load_about(path).get("truth")
    if not isinstance(card, dict) or "file" not in card:
        raise InvalidInput(f"{path} does not say which queries it answers; name the truth as well.")
    truth = Path(str(card["file"]))
    if not truth.is_file() or sha256(truth) != card.get("sha256"):
        raise InvalidInput(f"{path} answers {truth}, which is gone or has changed; name the truth as well.")
    return truth


def load_run(path: Path) -> dict[str, dict[int, list[Predicted]]]:
    """Read a run file in any form.

    Raises NotFound for a missing file and InvalidInput, naming the place, for anything else that is no run.
    """
    if path.suffix == ".jsonl":
        predictions = load_predictions(path)
        return {
            REFINED: {query_id: [Predicted(*row) for row in rows] for query_id, rows in predictions.items()}
        }
    value = _parsed(path)
    stages = value["stages"] if isinstance(value.get("stages"), dict) else {COARSE: value}
    unknown = sorted(set(stages) - set(STAGES))
    if unknown:
        raise InvalidInput(f"{path}: stage {unknown[0]!r} is unknown; the stages are {', '.join(STAGES)}.")
    return {stage: _answers(answers, f"{path}: {stage}") for stage, answers in stages.items()}


def _parsed(path: Path) -> dict[str, Any]:
    try:
        value = read_json(path)
    except FileNotFoundError as error:
        raise NotFound(f"{path} does not exist; name a run file.") from error
    except ValueError as error:
        why = getattr(error, "why", f"it is not JSON ({error})")
        raise InvalidInput(f"{path} cannot be used: {why}.") from error
    if not isinstance(value, dict):
        raise InvalidInput(f"{path} holds {type(value).__name__} at the top; a run file is an object.")
    if _OF_REPORT <= value.keys():
        raise InvalidInput(
            f"{path} is a report, as --out of `spr eval` writes it; --run-out writes a run file."
        )
    return value


def _answers(value: Any, where: str) -> dict[int, list[Predicted]]:
    if not isinstance(value, dict):
        raise InvalidInput(f"{where} is {type(value).__name__}; write an object of query id: moments.")
    answers = {}
    for query_id, rows in value.items():
        if not re.fullmatch(r"-?[0-9]{1,18}", query_id) or not isinstance(rows, list):
            shown = reprlib.repr(query_id)
            raise InvalidInput(f"{where}: {shown} is not an integer query id with a list of moments.")
        named = f"{where}: query {query_id}"
        if int(query_id) in answers:
            raise InvalidInput(f"{named} is there twice, written in two ways; answer every query once.")
        answers[int(query_id)] = [
            _predicted(rows[place], f"{named}, moment {place}") for place in _order(rows, named)
        ]
    return answers


def _order(rows: list[Any], where: str) -> Sequence[int]:
    """Return the places of moments by their rank, if all say one; else as they are, best first."""
    places = range(len(rows))
    if not all(isinstance(row, dict) and "moment_rank" in row for row in rows):
        return places
    if not all(isinstance(row["moment_rank"], int) for row in rows):
        raise InvalidInput(f"{where} has a moment_rank that is no integer; number the moments from 0.")
    return sorted(places, key=lambda place: int(rows[place]["moment_rank"]))


def _predicted(row: Any, where: str) -> Predicted:
    if not isinstance(row, dict) or not isinstance(row.get("video_name"), str):
        raise InvalidInput(
            f"{where} is {reprlib.repr(row)}; write an object of video_name and timestamp [start, end]."
        )
    start, end = check_span(row.get("timestamp"), f"{where}: timestamp", empty=True)
    score, confidence = (_optional(row, name, where) for name in ("score", "confidence"))
    if confidence is not None and not 0 <= confidence <= 1:
        raise InvalidInput(f"{where}: confidence is {confidence:g}; write a probability, 0 to 1.")
    return Predicted(row["video_name"], start, end, score, confidence)


def _optional(row: dict[str, Any], name: str, where: str) -> float | None:
    return None if row.get(name) is None else check_number(row, name, where)


def _entry(row: Predicted) -> dict[str, Any]:
    entry: dict[str, Any] = {"video_name": row.video, "timestamp": [row.start, row.end], "score": row.score}
    return entry if row.confidence is None else entry | {"confidence": row.confidence}
