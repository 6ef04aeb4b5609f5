"""The text tower on ONNX Runtime: tokens in, features out, the same as transformers' text model."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.ranker.encoder import text_graph
from workers.ranker.encoder.families import family_of
from workers.ranker.encoder.text_graph import ACTIVATIONS, TowerShape

Array = NDArray[np.float32]
Tokens = NDArray[np.int64]
# Texts of lengths within one stretch run together; more padding than that costs more than another run.
STRETCH = 16
# transformers pools CLIP models of this end marker at the highest token, as the first published ones.
_OLD_END = 2
HIGHEST = -1


@dataclass(frozen=True, slots=True)
class TowerParts:
    """A text tower in numpy. tokens: (vocabulary, width); positions: (longest, width); head: (dim, width).

    end: the end marker, at the first of which it pools; HIGHEST pools at the highest token, None at the last
    position.
    """

    shape: TowerShape
    weights: Mapping[str, Array]
    tokens: Array
    positions: Array
    head: Array
    head_bias: Array | None
    end: int | None


def parts_of(model: Any) -> TowerParts | None:
    """Take a text tower of CLIP's layers apart, without copying; None for one of another build."""
    config, family = model.config.text_config, family_of(model.config)
    if not family.graph or config.hidden_act not in ACTIVATIONS:
        return None
    is_clip = family.pooling == "end"
    state = {name: value.detach().numpy() for name, value in model.text_model.state_dict().items()}
    if f"encoder.layers.{config.num_hidden_layers - 1}.mlp.fc2.bias" not in state:
        return None
    head = model.text_projection.weight.detach().numpy() if is_clip else state["head.weight"]
    shape = TowerShape(
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        heads=config.num_attention_heads,
        epsilon=config.layer_norm_eps,
        activation=config.hidden_act,
        causal=is_clip,
    )
    return TowerParts(
        shape=shape,
        weights=state,
        tokens=state["embeddings.token_embedding.weight"],
        positions=state["embeddings.position_embedding.weight"],
        head=head,
        head_bias=None if is_clip else state["head.bias"],
        end=_end(model.config) if is_clip else None,
    )


def _end(config: Any) -> int:
    end = int(config.text_config.eos_token_id)
    return HIGHEST if config.model_type == "clip" and end == _OLD_END else end


class TextTower:
    """Runs a graph of text_graph.build with the parts it was built of. Usable from several threads."""

    def __init__(self, parts: TowerParts, graph: bytes, threads: int) -> None:
        """Start a session of `threads` CPU threads; ImportError without onnxruntime."""
        # Its published builds send reports to their maker and keep an id of the machine, unless this is set
        # before they are loaded.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Threads that spin while they wait take the cores from the other processes of the machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._parts = parts

    def __call__(self, tokens: Tokens, valid: NDArray[np.bool_]) -> tuple[Array, list[Array]]:
        """Encode (n, length) token numbers; return pooled (n, dim) and every text's states where `valid`."""
        lengths = valid.sum(axis=1) if self._parts.end is not None else np.full(len(tokens), tokens.shape[1])
        pooled = np.empty((len(tokens), len(self._parts.head)), np.float32)
        states: list[Array] = [pooled[:0]] * len(tokens)
        stretches = -(-lengths // STRETCH)
        for stretch in np.unique(stretches):
            (rows,) = np.nonzero(stretches == stretch)
            longest = int(lengths[rows].max())
            found = self._run(tokens[rows, :longest])
            pooled[rows] = self._pool(found, tokens[rows, :longest])
            for row, state in zip(rows, found, strict=True):
                states[row] = state[valid[row, :longest]]
        return pooled, states

    def _run(self, tokens: Tokens) -> Array:
        embedded = self._parts.tokens[tokens] + self._parts.positions[: tokens.shape[1]]
        states: Array = self._session.run([text_graph.OUTPUT], {text_graph.INPUT: embedded})[0]
        return states

    def _pool(self, states: Array, tokens: Tokens) -> Array:
        parts = self._parts
        if parts.end is None:
            at = np.full(len(tokens), tokens.shape[1] - 1)
        elif parts.end == HIGHEST:
            at = tokens.argmax(axis=1)
        else:
            at = (tokens == parts.end).argmax(axis=1)
        pooled: Array = states[np.arange(len(tokens)), at] @ parts.head.T
        return pooled if parts.head_bias is None else pooled + parts.head_bias
