"""A text tower's layers as an ONNX graph, with weights in 8 bits or in float32.

The graph goes from embedded tokens (texts, length, width) to states after the final layer norm; looking
tokens up and pooling stay outside, in float32. It is written out by hand, not exported: CLIP and SigLIP share
one layer, and so every product can be quantised by rows. A row is one token: its own range is cut into 255
levels, 127 on each side of 0 or all above the least value of an activation function, so that neither the
other texts of a batch nor the first token, whose activations are many times the others', cost a token its
precision. Weights have one scale an output.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[np.float32]]

INPUT, OUTPUT, SHAPE = "embedded", "states", "shape"
# Levels of a weight's magnitude. A CPU without 8-bit dot products (VNNI) adds two products in 16 bits, which
# overflow unless weights are halved.
LEVELS, FEW_LEVELS = 127, 63
_CONTRIB = "com.microsoft"
# And what no value of theirs is below.
_ACTIVATIONS: dict[str, tuple[str, str, dict[str, Any], float]] = {
    "quick_gelu": ("QuickGelu", _CONTRIB, {"alpha": 1.702}, -0.1637),
    "gelu": ("Gelu", "", {"approximate": "none"}, -0.17),
    "gelu_pytorch_tanh": ("Gelu", "", {"approximate": "tanh"}, -0.1701),
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
    graph = _Graph(levels, shape.width)
    x = graph.rows()
    normed = graph.norm(x, weights, "encoder.layers.0.layer_norm1", shape.epsilon)
    for layer in range(shape.layers):
        name = f"encoder.layers.{layer}"
        last = layer == shape.layers - 1
        following = "final_layer_norm" if last else f"encoder.layers.{layer + 1}.layer_norm1"
        joined = _joined(weights, f"{name}.self_attn")
        attended = graph.attend(normed, joined, shape, name)
        out, bias = graph.product(attended, *_linear(weights, f"{name}.self_attn.out_proj"), f"{name}.out")
        x, normed = graph.add_norm(out, bias, x, weights, f"{name}.layer_norm2", shape.epsilon)
        up = graph.product(normed, *_linear(weights, f"{name}.mlp.fc1"), f"{name}.fc1")
        kind, domain, options, least = _ACTIVATIONS[shape.activation]
        biased = graph.node("Add", [*up], f"{name}.biased")
        active = graph.node(kind, [biased], f"{name}.active", domain, **options)
        down, bias = graph.product(active, *_linear(weights, f"{name}.mlp.fc2"), f"{name}.fc2", least)
        x, normed = graph.add_norm(down, bias, x, weights, following, shape.epsilon)
    graph.node("Reshape", [normed, SHAPE], OUTPUT)
    return graph.serialised()


def _linear(weights: Weights, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def _joined(weights: Weights, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    parts = [_linear(weights, f"{name}.{part}_proj") for part in "qkv"]
    return np.concatenate([weight for weight, _ in parts]), np.concatenate([bias for _, bias in parts])


@dataclass
class _Graph:
    """Nodes and constants in the making; every method returns the name of its result."""

    levels: int | None
    width: int
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

    def rows(self) -> str:
        """Return the input as rows, (texts x length, width)."""
        from onnx import TensorProto, helper

        self.node("Shape", [INPUT], SHAPE)
        rows = self.node("Reshape", [INPUT, self.constant("flat", np.array([-1, self.width]))], "rows")
        count = self.node("Shape", [rows], "count", end=1)
        middle = helper.make_tensor("middle of rows", TensorProto.UINT8, [1], [128])
        self.node("ConstantOfShape", [count], "middles", value=middle)
        return rows

    def norm(self, x: str, weights: Weights, name: str, epsilon: float) -> str:
        scale, bias = self._norm_constants(weights, name)
        return self.node("LayerNormalization", [x, scale, bias], f"{name}.y", axis=-1, epsilon=epsilon)

    def add_norm(
        self, x: str, bias: str, residual: str, weights: Weights, name: str, epsilon: float
    ) -> tuple[str, str]:
        """Return the sum of `x`, `bias` and `residual`, and its norm."""
        # Of SkipLayerNormalization, which does all of it, the loops are slower.
        total = self.node("Add", [self.node("Add", [x, residual], f"{name}.both"), bias], f"{name}.sum")
        return total, self.norm(total, weights, name, epsilon)

    def attend(
        self, x: str, joined: tuple[NDArray[np.float32], NDArray[np.float32]], shape: TowerShape, name: str
    ) -> str:
        """Return what every token sees of the others, (rows, width)."""
        from onnx import helper

        product, bias = self.product(x, *joined, f"{name}.qkv")
        parts = [f"{name}.{part}" for part in "qkv"]
        sizes = self.constant("thirds", np.array([shape.width] * 3, np.int64))
        self.nodes.append(helper.make_node("Split", [product, sizes], parts, axis=-1))
        texts = [self.node("Reshape", [part, SHAPE], f"{part}.texts") for part in parts]
        options = {"num_heads": shape.heads, "unidirectional": int(shape.causal)}
        seen = self.node("MultiHeadAttention", [*texts, bias], f"{name}.attended", _CONTRIB, **options)
        return self.node("Reshape", [seen, "flat"], f"{name}.seen")

    def product(
        self,
        x: str,
        weight: NDArray[np.float32],
        bias: NDArray[np.float32],
        name: str,
        least: float | None = None,
    ) -> tuple[str, str]:
        """Return x @ weight.T and what is to be added to it; weight is (outputs, inputs).

        least: a value that none of x is below, None where they lie on both sides of 0.
        """
        if self.levels is None:
            made = self.node("MatMul", [x, self.constant(f"{name}.w", weight.T)], f"{name}.product")
            return made, self.constant(f"{name}.b", bias)
        scale = np.maximum(np.abs(weight).max(axis=1), 1e-30) / self.levels
        rounded = np.rint(weight / scale[:, None]).astype(np.int8)
        step, levels, zero = self._both_sides(x, name) if least is None else self._above(x, least, name)
        if least is not None:
            bias = bias + least * rounded.sum(axis=1, dtype=np.int64) * scale
        inputs = [levels, self.constant(f"{name}.w", rounded.T), self.constant("one", np.float32(1))]
        inputs += [self.constant(f"{name}.scale", scale.astype(np.float32)), zero]
        inputs += [self.constant(f"zeros{len(weight)}", np.zeros(len(weight), np.int8))]
        made = self.node("MatMulIntegerToFloat", inputs, f"{name}.product", _CONTRIB)
        steps = self.node(
            "Unsqueeze", [step, self.constant("axis", np.array([-1], np.int64))], f"{name}.steps"
        )
        made = self.node("Mul", [made, steps], f"{name}.scaled")
        return made, self.constant(f"{name}.b", bias.astype(np.float32))

    def _both_sides(self, x: str, name: str) -> tuple[str, str, str]:
        """Return the width of a level of every row, its values in levels, and the level of 0.

        A row's largest magnitude is 127 levels.
        """
        top = self._largest(self.node("Abs", [x], f"{name}.magnitudes"), name)
        most = self.node("Max", [top, self.constant("tiny", np.float32(1e-20))], f"{name}.most")
        step = self.node("Mul", [most, self.constant("of 127", np.float32(1 / 127))], f"{name}.step")
        levels = self.node("QuantizeLinear", [x, step, "middles"], f"{name}.levels", axis=0)
        return step, levels, self.constant("middle", np.uint8(128))

    def _above(self, x: str, least: float, name: str) -> tuple[str, str, str]:
        """Return the same, of rows above `least`, which is level 0: 255 of them reach to a row's largest."""
        moved = self.node("Sub", [x, self.constant(f"least {least}", np.float32(least))], f"{name}.moved")
        top = self._largest(moved, name)
        step = self.node("Mul", [top, self.constant("of 255", np.float32(1 / 255))], f"{name}.step")
        levels = self.node("QuantizeLinear", [moved, step], f"{name}.levels", axis=0)
        return step, levels, self.constant("none", np.uint8(0))

    def _largest(self, x: str, name: str) -> str:
        """Return the largest value of every row, (rows,)."""
        axis = self.constant("axis", np.array([-1], np.int64))
        return self.node("ReduceMax", [x, axis], f"{name}.top", keepdims=0)

    def _norm_constants(self, weights: Weights, name: str) -> list[str]:
        return [self.constant(f"{name}.{part}", weights[f"{name}.{part}"]) for part in ("weight", "bias")]

    def serialised(self) -> bytes:
        from onnx import TensorProto, helper

        values = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["texts", "length", self.width])
            for name in (INPUT, OUTPUT)
        ]
        graph = helper.make_graph(self.nodes, "text", values[:1], values[1:], list(self.constants.values()))
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid(_CONTRIB, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="spr")
        data: bytes = model.SerializeToString(deterministic=True)
        return data
