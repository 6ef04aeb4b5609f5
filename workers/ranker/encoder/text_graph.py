"""A text tower's layers as an ONNX graph, with weights in 8 bits or in float32.

The graph goes from embedded tokens (texts, length, width) to states after the final layer norm; looking
tokens up and pooling stay outside, in float32. It is written out by hand, not exported: CLIP and SigLIP share
one layer, and so every product can be quantised by rows. A row is one token: its own range is cut into 255
levels, so that neither the other texts of a batch nor the first token, whose activations are many times the
others', cost a token its precision. Weights have one scale an output.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[np.float32]]

INPUT, OUTPUT = "embedded", "states"
# Levels of a weight's magnitude. A CPU without 8-bit dot products (VNNI) adds two products in 16 bits, which
# overflow unless weights are halved.
LEVELS, FEW_LEVELS = 127, 63
_CONTRIB = "com.microsoft"
_ACTIVATIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "quick_gelu": ("QuickGelu", _CONTRIB, {"alpha": 1.702}),
    "gelu": ("Gelu", "", {"approximate": "none"}),
    "gelu_pytorch_tanh": ("Gelu", "", {"approximate": "tanh"}),
}
ACTIVATIONS = tuple(_ACTIVATIONS)


@dataclass(frozen=True, slots=True)
class TowerShape:
    """What a tower is beside its weights. activation: one of ACTIVATIONS, by transformers' name."""

    layers: int
    width: int
    heads: int
    epsilon: float
    activation: str
    causal: bool


def build(shape: TowerShape, weights: Weights, levels: int | None) -> bytes:
    """Return the serialised model; levels: of a weight's magnitude, None for float32.

    weights: by transformers' names below the text model, such as "encoder.layers.0.mlp.fc1.weight".
    """
    graph = _Graph(levels)
    x, normed = INPUT, graph.norm(INPUT, weights, "encoder.layers.0.layer_norm1", shape.epsilon)
    for layer in range(shape.layers):
        name = f"encoder.layers.{layer}"
        last = layer == shape.layers - 1
        following = "final_layer_norm" if last else f"encoder.layers.{layer + 1}.layer_norm1"
        joined = _joined(weights, f"{name}.self_attn")
        attended = graph.attend(normed, joined, shape, name)
        out = graph.product(attended, *_linear(weights, f"{name}.self_attn.out_proj"), f"{name}.out")
        x, normed = graph.add_norm(out, x, weights, f"{name}.layer_norm2", shape.epsilon)
        up = graph.product(normed, *_linear(weights, f"{name}.mlp.fc1"), f"{name}.fc1")
        kind, domain, options = _ACTIVATIONS[shape.activation]
        active = graph.node(kind, [up], f"{name}.active", domain, **options)
        down = graph.product(active, *_linear(weights, f"{name}.mlp.fc2"), f"{name}.fc2")
        x, normed = graph.add_norm(down, x, weights, following, shape.epsilon)
    graph.node("Identity", [normed], OUTPUT)
    return graph.serialised(shape.width)


def _linear(weights: Weights, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def _joined(weights: Weights, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    parts = [_linear(weights, f"{name}.{part}_proj") for part in "qkv"]
    return np.concatenate([weight for weight, _ in parts]), np.concatenate([bias for _, bias in parts])


@dataclass
class _Graph:
    """Nodes and constants in the making; every method returns the name of its result."""

    levels: int | None
    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)

    def node(self, kind: str, inputs: list[str], output: str, domain: str = "", **options: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], domain=domain, **options))
        return output

    def constant(self, name: str, value: Any) -> str:
        from onnx import numpy_helper

        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def norm(self, x: str, weights: Weights, name: str, epsilon: float) -> str:
        scale, bias = self._norm_constants(weights, name)
        return self.node("LayerNormalization", [x, scale, bias], f"{name}.y", axis=-1, epsilon=epsilon)

    def add_norm(self, x: str, residual: str, weights: Weights, name: str, epsilon: float) -> tuple[str, str]:
        """Return the sum of `x` and `residual`, and its norm."""
        from onnx import helper

        inputs = [x, residual, *self._norm_constants(weights, name)]
        outputs = [f"{name}.y", "", "", f"{name}.sum"]
        made = helper.make_node("SkipLayerNormalization", inputs, outputs, domain=_CONTRIB, epsilon=epsilon)
        self.nodes.append(made)
        return outputs[3], outputs[0]

    def attend(
        self, x: str, joined: tuple[NDArray[np.float32], NDArray[np.float32]], shape: TowerShape, name: str
    ) -> str:
        from onnx import helper

        product = self.product(x, *joined, f"{name}.qkv")
        parts = [f"{name}.{part}" for part in "qkv"]
        sizes = self.constant("thirds", np.array([shape.width] * 3, np.int64))
        self.nodes.append(helper.make_node("Split", [product, sizes], parts, axis=-1))
        options = {"num_heads": shape.heads, "unidirectional": int(shape.causal)}
        return self.node("MultiHeadAttention", parts, f"{name}.attended", _CONTRIB, **options)

    def product(self, x: str, weight: NDArray[np.float32], bias: NDArray[np.float32], name: str) -> str:
        """Return x @ weight.T + bias; weight is (outputs, inputs)."""
        if self.levels is None:
            made = self.node("MatMul", [x, self.constant(f"{name}.w", weight.T)], f"{name}.product")
            return self.node("Add", [made, self.constant(f"{name}.b", bias)], f"{name}.y")
        # x = centre + half * q / 127 by row, so x @ w = half * (q / 127 @ w) + centre * (sum of w's inputs).
        centre, half, levels = self._quantised(x, name)
        scale = np.maximum(np.abs(weight).max(axis=1), 1e-30) / self.levels
        rounded = np.rint(weight / scale[:, None]).astype(np.int8)
        inputs = [levels, self.constant(f"{name}.w", rounded.T), self.constant("step", np.float32(1 / 127))]
        inputs += [
            self.constant(f"{name}.scale", scale.astype(np.float32)),
            self.constant("middle", np.uint8(128)),
        ]
        inputs += [self.constant(f"zeros{len(weight)}", np.zeros(len(weight), np.int8))]
        made = self.node("MatMulIntegerToFloat", inputs, f"{name}.product", _CONTRIB)
        made = self.node("Mul", [made, half], f"{name}.scaled")
        sums = (rounded.sum(axis=1, dtype=np.int64) * scale).astype(np.float32)
        shift = self.node("Mul", [centre, self.constant(f"{name}.sums", sums)], f"{name}.shift")
        shift = self.node("Add", [shift, self.constant(f"{name}.b", bias)], f"{name}.bias")
        return self.node("Add", [made, shift], f"{name}.y")

    def _quantised(self, x: str, name: str) -> tuple[str, str, str]:
        """Return the middle and half the width of every row's range, and its values in levels."""
        axis = self.constant("axis", np.array([-1], np.int64))
        top = self.node("ReduceMax", [x, axis], f"{name}.top", keepdims=1)
        low = self.node("ReduceMin", [x, axis], f"{name}.low", keepdims=1)
        total = self.node("Add", [top, low], f"{name}.total")
        centre = self.node("Mul", [total, self.constant("half", np.float32(0.5))], f"{name}.centre")
        half = self.node("Sub", [top, centre], f"{name}.width")
        half = self.node("Max", [half, self.constant("least", np.float32(1e-20))], f"{name}.half")
        moved = self.node("Sub", [x, centre], f"{name}.moved")
        unit = self.node("Div", [moved, half], f"{name}.unit")
        step = [self.constant("step", np.float32(1 / 127)), self.constant("middle", np.uint8(128))]
        return centre, half, self.node("QuantizeLinear", [unit, *step], f"{name}.levels")

    def _norm_constants(self, weights: Weights, name: str) -> list[str]:
        return [self.constant(f"{name}.{part}", weights[f"{name}.{part}"]) for part in ("weight", "bias")]

    def serialised(self, width: int) -> bytes:
        from onnx import TensorProto, helper

        values = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["texts", "length", width])
            for name in (INPUT, OUTPUT)
        ]
        graph = helper.make_graph(self.nodes, "text", values[:1], values[1:], list(self.constants.values()))
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid(_CONTRIB, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="spr")
        data: bytes = model.SerializeToString(deterministic=True)
        return data
