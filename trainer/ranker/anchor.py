"""Initialise the shortcut in the encoder's space, where frames, subtitles and sentences are comparable.

The vector of a query in stage 1 is nearly linear in the last token state, so least squares over the training
queries find that map. Query, frame and subtitle are then projected on the principal directions of the frames,
as many as the ranker is wide. A model with this start ranks like retrieval, and reads subtitles too.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from engine.errors import InvalidInput
from engine.types import Floats
from trainer.ranker.data import TrainingData
from workers.ranker.model.local import LocalRelo
from workers.ranker.model.relo import Relo
from workers.ranker.model.windows import unit
from workers.ranker.stores.joined import AnyRows

# Ridge, relative to the mean square of a token state's component; frames are subsampled to so many rows.
RIDGE = 1e-3
MOST_ROWS = 20000


def anchor(model: Relo, data: TrainingData, texts: Floats) -> None:
    """Initialise `model`. texts: (queries, dim), as retrieval searches them.

    InvalidInput where frames and texts are not of the same width, so surely not of the same space.
    """
    streams, window = data.contexts.streams, model.config.window
    frames, subtitles = streams[window.video_stream].rows, streams[window.subtitle_stream].rows
    if not isinstance(model, LocalRelo) or frames.shape[1] != texts.shape[1]:
        raise InvalidInput(
            f"ranker.anchor wants frames of the queries' encoder; {window.video_stream} is {frames.shape[1]} "
            f"wide, queries are {texts.shape[1]}: set ranker.anchor = false."
        )
    last = [tokens[: window.max_tokens][-1] for tokens in data.tokens]
    states = unit(np.stack(last).astype(np.float32)).astype(np.float64)
    to_text = _least_squares(states, unit(texts).astype(np.float64))
    directions = _directions(_some(frames), model.config.hidden)
    with torch.no_grad():
        _set(model.video_shortcut, directions.T)
        if subtitles.shape[1] == frames.shape[1]:
            _set(model.sub_shortcut, directions.T)
        for linear in (model.video_query_shortcut, model.sub_query_shortcut):
            _set(linear, (to_text @ directions).T)


def _least_squares(inputs: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    square = inputs.T @ inputs
    ridge = RIDGE * np.trace(square) / len(square)
    return np.linalg.solve(square + ridge * np.eye(len(square)), inputs.T @ wanted)


def _directions(rows: Floats, hidden: int) -> NDArray[np.float64]:
    """Return the `hidden` principal directions of rows (n, dim), (dim, hidden); zeros beyond dim."""
    _, vectors = np.linalg.eigh((rows.T @ rows).astype(np.float64))
    widest = vectors[:, ::-1][:, :hidden]
    return np.pad(widest, ((0, 0), (0, hidden - widest.shape[1])))


def _some(rows: AnyRows) -> Floats:
    return unit(rows[np.arange(0, len(rows), max(1, len(rows) // MOST_ROWS))].astype(np.float32))


def _set(linear: torch.nn.Linear, weight: NDArray[np.float64]) -> None:
    linear.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)).to(linear.weight))
    linear.bias.zero_()
