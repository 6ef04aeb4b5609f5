"""Published checkpoints as ours: stage 1's `ckpt.bin` and stage 3's `best_model.pt`, read as data.

Our models carry the published parameter names, so tensors keep theirs; what the file does not say (a
projector's heads, seconds a clip) comes from `Choices`. Every tensor's name and shape is checked against the
model that they describe before anything is written.
"""

import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from engine.errors import InvalidInput
from trainer.formats.layout import I3D, SUBTITLES_BERT
from trainer.formats.unpickle import Inert, UnreadTensor, read_torch, unsound
from workers.ranker.model.relo import Relo, ReloConfig
from workers.ranker.model.windows import WindowConfig
from workers.ranker.projection.projector import Projector, ProjectorConfig
from workers.ranker.scoring.decode import DecodeConfig
from workers.ranker.scoring.relo_ranker import RankerConfig
from workers.ranker.stores.checkpoint import shapes_of

Kind = Literal["projector", "ranker"]
State = dict[str, torch.Tensor]

PARTS = ("model_state_dict", "state_dict")
# Tensors may share their numbers; more often than so no model does.
SHARED = 4
# What tells the two kinds apart.
SCALE, TOKENS = "pt_clip_logit_scale", "query_pos_embed.position_embeddings.weight"


@dataclass(frozen=True, slots=True)
class Choices:
    """What a checkpoint does not say; the defaults are those of the published runs.

    heads: attention heads; None takes a ranker's from its model_cfg and a projector's as dim / 64.
    segment_length: frames (seconds) a segment. clip_length, context: seconds. padding: "published" for the
    published outputs to the last bit, "tight" for ones that do not depend on padding. max_span: clips of the
    longest moment.
    """

    heads: int | None = None
    segment_length: int = 4
    clip_length: float = 1.5
    context: float = 8.0
    padding: Literal["published", "tight"] = "published"
    max_span: int = DecodeConfig().max_span
    video_stream: str = I3D
    subtitle_stream: str = SUBTITLES_BERT


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model that came in. facts: what else its file said, as JSON values."""

    kind: Kind
    config: ProjectorConfig | RankerConfig
    state: State
    facts: Mapping[str, Any] = field(default_factory=dict)


def read_checkpoint(path: Path, choices: Choices | None = None, kind: Kind | None = None) -> Checkpoint:
    """Read a published checkpoint; nothing in it is run.

    NotFound or InvalidInput name the file, and the part that is missing, no tensor, or of another shape.
    """
    choices = choices or Choices()
    held = read_torch(path)
    state = _tensors(path, _part(path, held))
    found = _kind(path, state)
    if kind not in (None, found):
        raise InvalidInput(f"{path} holds a {found}, not a {kind}; leave --kind out, or name another file.")
    given = held if isinstance(held, dict) else {}
    facts = {"source": path.name, **_simple({key: given[key] for key in ("iter", "epoch") if key in given})}
    config: ProjectorConfig | RankerConfig
    if found == "projector":
        config = _projector_config(path, state, choices)
        _fit(path, state, Projector, config)
    else:
        said = given.get("model_cfg")
        said = _simple(said) if isinstance(said, dict) else {}
        facts["model_cfg"] = said
        decode = DecodeConfig(max_span=choices.max_span)
        config = RankerConfig(_relo_config(path, state, choices, said), decode)
        _fit(path, state, Relo, config.model)
    return Checkpoint(found, config, state, facts)


def _part(path: Path, held: Any) -> Mapping[str, Any]:
    """Return the names and tensors in what a file holds: a part of it, or all."""
    if not isinstance(held, dict):
        raise InvalidInput(f"{path} holds {_what(held)}, no parts by name; name a published checkpoint.")
    part = next((held[name] for name in PARTS if name in held), None)
    if part is None and held and all(isinstance(value, UnreadTensor) for value in held.values()):
        part = held
    if part is None:
        raise InvalidInput(
            f"{path} has no {PARTS[0]} but {', '.join(map(_named, list(held)[:6])) or 'nothing'}; "
            "name a published checkpoint."
        )
    if not isinstance(part, dict) or not part:
        raise InvalidInput(f"{path}: its {PARTS[0]} is {_what(part)}, not tensors by name.")
    return part


def _tensors(path: Path, part: Mapping[Any, Any]) -> State:
    """Read the tensors, as float32; InvalidInput names what is none."""
    for name, value in part.items():
        if not isinstance(name, str) or not isinstance(value, UnreadTensor):
            raise InvalidInput(
                f"{path}: {_named(name)} in its {PARTS[0]} is {_what(value)}, not a tensor; "
                "only tensors are imported."
            )
        if not value.storage.dtype.is_floating_point:
            raise InvalidInput(f"{path}: {name} is of {value.storage.dtype}; a model's tensors are floats.")
    _check_room(path, part)
    # Of a model that several devices trained.
    wrapped = all(name.startswith("module.") for name in part)
    try:
        state = {name: value.tensor().float() for name, value in part.items()}
    except Exception as error:  # Its numbers may be missing, too few, or unreadable in any way.
        raise unsound(path, error) from error
    return {name.removeprefix("module.") if wrapped else name: value for name, value in state.items()}


def _check_room(path: Path, part: Mapping[str, UnreadTensor]) -> None:
    """Refuse tensors that share their numbers so often that they would fill the memory."""
    values = sum(math.prod(value.shape) * value.storage.dtype.itemsize for value in part.values())
    if values > SHARED * path.stat().st_size:
        raise InvalidInput(f"{path}: its tensors are {values:,} bytes, more than the file can hold.")


def _named(name: object) -> str:
    return name[:80] if isinstance(name, str) else reprlib.repr(name)


def _kind(path: Path, state: State) -> Kind:
    if TOKENS in state:
        return "ranker"
    if SCALE in state:
        return "projector"
    raise InvalidInput(
        f"{path} is neither a projector ({SCALE}) nor a ranker ({TOKENS}); it has "
        f"{', '.join(list(state)[:3])}."
    )


def _projector_config(path: Path, state: State, choices: Choices) -> ProjectorConfig:
    table = "frame_position_embeddings.weight"
    kind = "seqTransf" if any(name.startswith("seq_transf.") for name in state) else "meanP"
    kind = "seqLSTM" if any(name.startswith("seq_lstm.") for name in state) else kind
    layers = {name.split(".")[2] for name in state if name.startswith("seq_transf.resblocks.")}
    widest = next((n for n in ("qfeat_proj.weight", "temp_proj.weight", table) if n in state), None)
    if widest is None:
        raise InvalidInput(f"{path} projects nothing, it is mean pooling; do without: --projector none.")
    dim = _size(path, state, widest, 1)
    return ProjectorConfig(
        dim=dim,
        type=kind,  # type: ignore[arg-type]
        layers=len(layers) or ProjectorConfig().layers,
        heads=choices.heads or max(1, dim // 64),
        positions=_size(path, state, table, 0) if table in state else ProjectorConfig().positions,
        query_proj="qfeat_proj.weight" in state,
        temp_proj="temp_proj.weight" in state,
        segment_length=choices.segment_length,
    )


def _relo_config(path: Path, state: State, choices: Choices, said: Mapping[str, Any]) -> ReloConfig:
    for key, expected in (("ctx_mode", "video_sub"), ("conv_stride", 1)):
        if said.get(key, expected) != expected:
            raise InvalidInput(
                f"{path}: its model_cfg has {key} = {said[key]!r}; only {expected!r} is known."
            )
    heads = choices.heads or said.get("n_heads")
    if not isinstance(heads, int):
        raise InvalidInput(
            f"{path} does not say how many heads its attention has; add --heads (published: 8)."
        )
    window = WindowConfig(
        clip_length=choices.clip_length,
        context=choices.context,
        max_clips=_size(path, state, "ctx_pos_embed.position_embeddings.weight", 0),
        max_tokens=_size(path, state, TOKENS, 0),
        padding=choices.padding,
        video_stream=choices.video_stream,
        subtitle_stream=choices.subtitle_stream,
    )
    return ReloConfig(
        visual_dim=_size(path, state, "video_input_proj.net.1.weight", 1),
        subtitle_dim=_size(path, state, "sub_input_proj.net.1.weight", 1),
        query_dim=_size(path, state, "query_input_proj.net.1.weight", 1),
        hidden=_size(path, state, TOKENS, 1),
        heads=heads,
        kernel=_size(path, state, "merged_st_predictor.weight", 2),
        input_dropout=_share(said.get("input_drop"), ReloConfig().input_dropout),
        dropout=_share(said.get("drop"), ReloConfig().dropout),
        window=window,
    )


def _size(path: Path, state: State, name: str, axis: int) -> int:
    if name not in state:
        raise InvalidInput(f"{path} lacks {name}; it is no whole model.")
    if state[name].dim() <= axis:
        raise InvalidInput(f"{path}: {name} has shape {tuple(state[name].shape)}, too few axes.")
    return state[name].shape[axis]


def _share(value: object, default: float) -> float:
    return float(value) if isinstance(value, int | float) else default


def _fit(path: Path, state: State, model: type[nn.Module], config: Any) -> None:
    """Refuse a state whose names or shapes are not those of the model that it describes."""
    wanted = shapes_of(lambda: model(config), str(path))
    missing, unknown = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    if missing or unknown:
        lacks = f"lacks {', '.join(missing[:3])}" if missing else f"has {', '.join(unknown[:3])} beside"
        raise InvalidInput(f"{path} {lacks} the tensors of a {model.__name__}; it is of another model.")
    for name, shape in wanted.items():
        if tuple(state[name].shape) != shape:
            raise InvalidInput(
                f"{path}: {name} has shape {tuple(state[name].shape)}, the other tensors ask for {shape}."
            )


def _what(value: object) -> str:
    """Name what a value is, for a sentence."""
    if isinstance(value, UnreadTensor):
        return "a tensor"
    kind = value if isinstance(value, type) else type(value)
    return f"a {getattr(kind, 'origin', kind.__name__) if issubclass(kind, Inert) else kind.__name__}"


def _simple(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the numbers, words and truth values among a mapping's."""
    return {str(key): value for key, value in values.items() if isinstance(value, bool | int | float | str)}
