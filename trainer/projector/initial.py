"""Where a projector's training starts."""

from typing import Literal

import torch
from torch import nn

from workers.ranker.projection.projector import Projector

# Beside mean unit frames of weight 1: larger finds more of what is said, smaller more of what is seen.
SPOKEN = 0.5


def initialise(projector: Projector, how: Literal["published", "identity"]) -> None:
    """Leave the parameters as PyTorch made them ("published"), or make the projector equal mean pooling.

    "identity" makes both projections the identity and zeroes every residual branch: training starts at
    zero-shot quality. Subtitles are in the space of queries already, and are added with the weight SPOKEN.
    """
    if how == "published":
        return
    with torch.no_grad():
        for projection in (projector.qfeat_proj, projector.temp_proj):
            if isinstance(projection, nn.Linear):
                nn.init.eye_(projection.weight)
                nn.init.zeros_(projection.bias)
        if projector.config.subtitles:
            nn.init.eye_(projector.subtitle_proj.weight).mul_(SPOKEN)
        if projector.config.type == "seqTransf":
            _zero(projector.frame_position_embeddings.weight)
            for block in projector.seq_transf.resblocks:
                for branch in (block.get_submodule("attn.out_proj"), block.get_submodule("mlp.c_proj")):
                    _zero(*branch.parameters())
        if projector.config.type == "seqLSTM":
            # A cell whose candidate (the third of four gates) is zero stays zero.
            width = projector.config.dim
            for parameter in projector.seq_lstm.parameters():
                _zero(parameter[2 * width : 3 * width])


def _zero(*parameters: torch.Tensor) -> None:
    """Set parameters to zero."""
    for parameter in parameters:
        parameter.zero_()
