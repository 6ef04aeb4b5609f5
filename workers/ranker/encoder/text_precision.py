"""In which numbers texts are encoded: float32, or 8 bits where that is faster and says the same.

The 8-bit tower is prepared once and kept, under the encoder's fingerprint, with its checksum:

    DIRECTORY/<encoder fingerprint>/tower.onnx     the graph of text_graph.py
    DIRECTORY/<encoder fingerprint>/tower.json     {"format", "encoder", "levels", "sha256"}

Before it is used, on every machine and at every start, its features are compared with the model's: 8-bit
arithmetic differs between CPUs.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine import files
from engine.errors import SprError
from workers.ranker.encoder.encoder import Encoder, TextFeatures
from workers.ranker.encoder.families import FAMILIES
from workers.ranker.encoder.text_graph import FEW_LEVELS, LEVELS, build
from workers.ranker.encoder.text_tower import TextTower, TowerParts, parts_of

PRECISIONS = ("auto", "int8", "float32")
FORMAT = 2
LEAST_POOLED, LEAST_TOKENS = 0.998, 0.99
WORTH = 0.003  # seconds a text that "auto" must save, or it stays with float32
GRAPH, CARD = "tower.onnx", "tower.json"
SENTENCES = (
    "a dog barks",
    "Rachel opens the door",
    "a man in a red shirt walks into the room and sits down",
    "two people argue at a kitchen table while it rains outside, then the older one leaves",
    "the ball bounces twice",
    "House writes something on the whiteboard and turns to the others before he speaks",
    "Where did she put the keys after the party?",
    "something blue moves slowly from left to right across the screen",
)
_IN_INT8 = ", ".join(family.title for family in FAMILIES.values() if family.graph)
_log = logging.getLogger("spr.ranker")


@dataclass(frozen=True, slots=True)
class Agreement:
    """The least cosine between the tower's features and the model's, over SENTENCES."""

    pooled: float
    tokens: float

    @property
    def good(self) -> bool:
        """Whether the tower may stand in for the model."""
        return self.pooled >= LEAST_POOLED and self.tokens >= LEAST_TOKENS


def choose(encoder: Encoder, precision: str, directory: Path, threads: int) -> str:
    """Let `encoder` encode texts as asked for; return "int8", or the name of the model's own numbers.

    precision: one of PRECISIONS; "auto" takes 8 bits where they save WORTH. directory: see above; one that
    cannot be written is no obstacle. What stands in the way of 8 bits is logged, and float32 is used.
    """
    own = str(encoder.model.dtype).removeprefix("torch.")
    if precision == "float32" or (precision == "auto" and encoder.device.type != "cpu"):
        return own
    if precision == "auto" and (takes := _seconds(encoder, None)) < WORTH:
        _log.info("texts are encoded in %s, which takes %.1f ms a text", own, 1000 * takes)
        return own
    try:
        tower = prepared(encoder, directory, threads)
    except ImportError as error:
        _log.warning("texts are encoded in %s: %s; pip install onnx onnxruntime for int8", own, error)
        return own
    if tower is None:
        return own
    if precision == "auto" and (saved := _seconds(encoder, None) - _seconds(encoder, tower)) < WORTH:
        _log.info("texts are encoded in %s: int8 saves %.1f ms a text", own, 1000 * saved)
        return own
    encoder.use_tower(tower)
    return "int8"


def prepared(encoder: Encoder, directory: Path, threads: int) -> TextTower | None:
    """Return the 8-bit tower kept in `directory` or made now, None (and why in the log) if it is no good."""
    exact = encoder.device.type == "cpu" and encoder.model.dtype == torch.float32
    parts = parts_of(encoder.model) if exact else None
    if parts is None:
        _log.warning(
            "texts of %s are not encoded in int8: only those of %s in float32 are", encoder.name, _IN_INT8
        )
        return None
    for graph, levels, fresh in _candidates(parts, directory / encoder.fingerprint, encoder.fingerprint):
        try:
            tower = TextTower(parts, graph, threads)
            found = agreement(encoder, tower)
        except ImportError:
            raise
        except Exception as error:  # onnxruntime's own kinds, one for every status
            _log.warning("the int8 text tower does not run here: %s", error)
            continue
        if found.good:
            if fresh:
                _keep(directory / encoder.fingerprint, graph, levels, encoder.fingerprint)
            _log.info("int8 texts have cosines >= %.5f, tokens >= %.5f", found.pooled, found.tokens)
            return tower
        _log.warning(
            "int8 texts with %d levels are refused: cosines reach down to %.5f, tokens to %.5f; at least %s "
            "and %s are asked for",
            levels,
            found.pooled,
            found.tokens,
            LEAST_POOLED,
            LEAST_TOKENS,
        )
    return None


def agreement(encoder: Encoder, tower: TextTower) -> Agreement:
    """Compare the tower's features of SENTENCES with the model's."""
    exact, found = _by(encoder, None, SENTENCES), _by(encoder, tower, SENTENCES)
    tokens = [cosines(a, b).min() for a, b in zip(exact.tokens, found.tokens, strict=True)]
    return Agreement(float(cosines(exact.pooled, found.pooled).min()), float(min(tokens)))


def cosines(a: Any, b: Any) -> Any:
    """Return the cosine of every row of `a` with that of `b`."""
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return (a * b).sum(axis=-1) / np.maximum(lengths, 1e-30)


def _candidates(parts: TowerParts, folder: Path, fingerprint: str) -> Iterator[tuple[bytes, int, bool]]:
    """Yield graphs with their levels and whether they are fresh: the kept one, then new ones."""
    kept = _kept(folder, fingerprint)
    if kept is not None:
        yield *kept, False
    for levels in (LEVELS, FEW_LEVELS):
        if kept is None or kept[1] != levels:
            yield build(parts.shape, parts.weights, levels), levels, True


def _kept(folder: Path, fingerprint: str) -> tuple[bytes, int] | None:
    if not (folder / CARD).is_file():
        return None
    try:
        card = files.read_json(folder / CARD, dict)
        if (card["format"], card["encoder"]) != (FORMAT, fingerprint) or card["levels"] not in (
            LEVELS,
            FEW_LEVELS,
        ):
            raise ValueError("it is of another format or encoder")
        if files.sha256(folder / GRAPH) != card["sha256"]:
            raise ValueError(f"{GRAPH} does not have the checksum that {CARD} gives")
        return (folder / GRAPH).read_bytes(), card["levels"]
    except (OSError, SprError, ValueError, KeyError, TypeError) as error:
        _log.warning("%s is made again: %s", folder, error)
        return None


def _keep(folder: Path, graph: bytes, levels: int, fingerprint: str) -> None:
    try:
        with files.replacing(folder / GRAPH) as partial:
            partial.write_bytes(graph)
            checksum = files.sha256(partial)
        card = {"format": FORMAT, "encoder": fingerprint, "levels": levels, "sha256": checksum}
        files.write_json(folder / CARD, card)
    except OSError as error:
        _log.warning("the int8 text tower is kept in memory only and made again at every start: %s", error)


def _seconds(encoder: Encoder, tower: TextTower | None) -> float:
    """Return the least time of a few for one text: others' work on the machine only ever adds."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        _by(encoder, tower, SENTENCES[2:3])
        times.append(time.perf_counter() - began)
    return min(times)


def _by(encoder: Encoder, tower: TextTower | None, texts: tuple[str, ...]) -> TextFeatures:
    encoder.use_tower(tower)
    try:
        return encoder.text(texts)
    finally:
        encoder.use_tower(None)
