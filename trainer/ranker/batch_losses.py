"""The losses of one batch of a ranker's training: its windows encoded, then every loss of the settings."""

import torch
import torch.nn.functional as F

from trainer.ranker.data import Batch, WindowTensors
from trainer.ranker.list_losses import list_losses
from trainer.ranker.losses import LossConfig, relo_losses
from trainer.runs import ALONE, Amp, Processes
from workers.ranker.model.encodings import QueryEncoding, WindowEncoding
from workers.ranker.model.relo import Relo

# A batch's windows are encoded in so many groups of similar length.
LENGTH_GROUPS = 3


def batch_losses(
    model: Relo, batch: Batch, config: LossConfig, hard: bool, amp: Amp, processes: Processes = ALONE
) -> dict[str, torch.Tensor]:
    """Return the losses of a batch; the encoders in mixed precision, the losses in float32.

    hard: draw negatives from the hardest. processes: each encodes its share.
    """
    groups = LENGTH_GROUPS if model.config.window.padding == "tight" else 1

    def encoded(windows: WindowTensors) -> WindowEncoding:
        made = processes.encode(lambda *own: encode_by_length(model, WindowTensors(*own), groups), windows)
        return WindowEncoding(*made)

    with amp.autocast(), processes.drawing(batch.seed):
        query = QueryEncoding(*processes.encode(model.encode_query, (batch.tokens, batch.token_mask)))
        context = encoded(batch.windows)
        wrong = encoded(batch.wrong) if batch.wrong else None
    places = batch.windows.places
    if batch.worth is None:
        return relo_losses(model, query, context, batch.targets, config, hard, wrong, places)
    losses = list_losses(model, query, context, places, batch.targets, batch.worth, config)
    return {**losses, "loss": torch.stack(list(losses.values())).sum()}


def encode_by_length(model: Relo, windows: WindowTensors, groups: int) -> WindowEncoding:
    """Encode windows in groups of similar length: one long window must not pad all others.

    The result is that of one group, up to rounding. Its mask leaves out what only surrounds the windows.
    """
    if groups == 1:
        return model.encode_context(*windows[:3])._replace(mask=windows.inner)
    lengths = windows.mask.sum(1).long()
    order = lengths.argsort(stable=True)
    parts = []
    for rows in order.tensor_split(min(groups, len(order))):
        longest = max(1, int(lengths[rows].max()))
        encoded = model.encode_context(*(column[rows, :longest] for column in windows[:3]))
        missing = windows.mask.shape[1] - longest
        features = [F.pad(x, (0, 0, 0, missing)) for x in encoded[:-1]]
        parts.append([*features, windows.inner[rows]])
    back = order.argsort()
    return WindowEncoding(*(torch.cat(columns)[back] for columns in zip(*parts, strict=True)))
