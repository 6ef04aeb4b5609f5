"""A small clip encoder, from one of frames: `python -m recipes.clip_encoder WORLD --encoder DIR --out DIR`.

X-CLIP (arXiv 2208.02816) in its published layout: the towers of an encoder of `spr train encoder`, messages
between the frames of a clip in every layer, and a transformer over the frames' vectors. What is new starts as
nothing, so that a clip starts as the mean of its frames. It is trained on clips of the world's train split.
"""

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from trainer.collection.annotations import load_queries
from trainer.encoder.events import CaptionedEvent, load_events
from trainer.encoder.frames import changes, frames_at, times_beside
from trainer.encoder.model import normalise
from trainer.encoder.objective import contrast
from trainer.encoder.optimiser import Optimiser
from trainer.encoder.output import new_directory
from trainer.encoder.settings import EncoderSettings
from trainer.encoder.texts import visual_texts
from trainer.runs import seed_everything
from workers.ranker.encoder.encoder import Encoder, quietly
from workers.ranker.encoder.image_transform import ImageTransform

FRAMES = 4  # of a segment, a second apart
CLIPS = 4  # of an event
_CPU = torch.device("cpu")


class Seen(CaptionedEvent):
    """An event of which a clip also shows what moves."""

    @property
    def seen(self) -> dict[str, str]:
        """What four frames show."""
        return {key: value for key, value in self.told.items() if key.split(".")[0] != "times"}


@dataclass(frozen=True, slots=True)
class Clips:
    """Clips of events. pixels: (events, CLIPS, FRAMES, 3, h, w) uint8. masks: likewise, without colours.

    places: (events, 2, 3, h, w), frames just before and after each event. masks: where a frame differs.
    """

    pixels: torch.Tensor
    masks: torch.Tensor
    places: torch.Tensor

    @staticmethod
    def of(world: Path, events: Sequence[CaptionedEvent], transform: ImageTransform, seed: int) -> "Clips":
        """Decode clips that begin at random from a second before an event on."""
        rng = np.random.default_rng([seed, 1])
        rows: dict[str, list[int]] = {}
        for row, event in enumerate(events):
            rows.setdefault(event.video, []).append(row)
        spans = {video: [(events[row].start, events[row].end) for row in own] for video, own in rows.items()}
        times = {video: np.stack([_starts(*span, rng) for span in own]) for video, own in spans.items()}

        def read(video: str) -> tuple[torch.Tensor, torch.Tensor]:
            inside = times[video][..., None] + np.arange(FRAMES) + 0.5
            wanted = np.concatenate([inside.ravel(), times_beside(spans[video]).ravel()])
            order = np.argsort(wanted, kind="stable")
            shown = frames_at(world / "videos" / f"{video}.mp4", wanted[order])
            pixels = transform.resized(shown[np.argsort(order, kind="stable")], _CPU)
            side = pixels.shape[1:]
            clips, beside = pixels[: inside.size], pixels[inside.size :]
            return clips.view(*inside.shape, *side), beside.view(len(inside), 2, *side)

        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            parts = list(pool.map(read, rows))
        back = np.argsort(np.concatenate(list(rows.values())), kind="stable")
        pixels, places = (torch.cat(found)[back] for found in zip(*parts, strict=True))
        pairs = zip(pixels.flatten(1, 2), places, strict=True)
        masks = torch.stack([changes(frames, beside) for frames, beside in pairs])
        return Clips(pixels, masks.view(*pixels.shape[:3], *masks.shape[2:]), places)

    def draw(self, events: NDArray[np.int64], alike: Sequence[NDArray[np.int64]], rng: Any) -> torch.Tensor:
        """Return a clip of each event, most of them moved to the place of another one that is alike."""
        chosen = rng.integers(CLIPS, size=len(events))
        pixels, masks = self.pixels[events, chosen].float(), self.masks[events, chosen].float()
        others = np.array([rng.choice(alike[event]) for event in events])
        places = self.places[others, rng.integers(2, size=len(events))][:, None].float()
        cover = F.max_pool2d(masks, 3, 1, 1)[:, :, None]
        cover[rng.random(len(events)) > EncoderSettings.moved] = 1.0
        return cover * pixels + (1 - cover) * places


def _starts(start: float, end: float, rng: np.random.Generator) -> NDArray[np.float64]:
    return np.maximum(0.0, rng.uniform(start - 1, max(start, end - FRAMES + 1), CLIPS))


def widened(encoder: Path) -> Any:
    """Return an X-CLIP with the towers of a CLIP."""
    from transformers import XCLIPConfig
    from transformers.models.clip.modeling_clip import CLIPModel
    from transformers.models.x_clip.modeling_x_clip import XCLIPModel

    with quietly():
        frames = CLIPModel.from_pretrained(encoder)
        text, vision = (part.to_dict() for part in (frames.config.text_config, frames.config.vision_config))
        dim = frames.config.projection_dim
        config = XCLIPConfig(
            text_config=text,
            vision_config={
                **vision,
                "num_frames": FRAMES,
                "mit_hidden_size": dim,
                "mit_intermediate_size": 3 * dim,
                "mit_num_hidden_layers": 1,
                "mit_num_attention_heads": 4,
            },
            projection_dim=dim,
            prompt_num_attention_heads=4,
        )
        model = XCLIPModel(config)
    state = {
        name.replace("pre_layrnorm", "pre_layernorm"): each for name, each in frames.state_dict().items()
    }
    left = model.load_state_dict(state, strict=False).unexpected_keys
    if left:
        raise ValueError(f"{encoder} has {left[0]}, which X-CLIP has not.")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            new = "message_" in name or (name.startswith("mit.") and ("out_proj" in name or "fc2" in name))
            if (new and "_ln" not in name and "k_proj" not in name) or name == "mit.position_embedding":
                weight.zero_()
    return model


def trained(world: Path, encoder: Path, out: Path, steps: int, seed: int) -> None:
    """Train on the world's train split, and write a directory that `--clip-encoder` takes."""
    from transformers import AutoTokenizer

    seed_everything(seed)
    loaded, rng = Encoder.load(str(encoder), "cpu", "float32"), np.random.default_rng([seed, 5])
    events = [
        Seen(**{**vars(event), "still": event.caption})
        for event in load_events(world)
        if event.split == "train"
    ]
    path = world / "annotations" / "train.json"
    queries = load_queries(path) if path.is_file() else []
    texts = visual_texts(events, queries, AutoTokenizer.from_pretrained(encoder), rng)
    clips, model = Clips.of(world, events, loaded.transform, seed), widened(encoder)
    kinds = np.array([event.seen.get("background", "") for event in events])
    alike = [np.flatnonzero(kinds == kind) for kind in kinds]

    def batch() -> torch.Tensor:
        chosen = rng.choice(len(events), min(EncoderSettings.batch, len(events)), replace=False)
        pixels = clips.draw(chosen, alike, rng)
        inputs = normalise(pixels.flatten(0, 1), loaded.transform).view_as(pixels)
        rows = texts.draw(chosen, rng)
        told = model.get_text_features(**texts.inputs(rows)).pooler_output
        shown = model.get_video_features(pixel_values=inputs).pooler_output
        weights = texts.weights[torch.from_numpy(chosen)][:, torch.from_numpy(rows)]
        return contrast(shown, told, weights, model.logit_scale.exp().clamp(max=100.0))

    fit(model, batch, steps)
    with new_directory(out, force=True) as folder, quietly():
        model.save_pretrained(folder)
        for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
            (folder / name).write_bytes((encoder / name).read_bytes())


def fit(model: Any, loss_of_batch: Callable[[], torch.Tensor], steps: int) -> None:
    """Train all of a model."""
    heads, decay = torch.nn.ModuleList(), EncoderSettings.weight_decay
    optimiser = Optimiser(model, heads, lr=3e-4, muon_lr=0.005, weight_decay=decay, steps=steps)
    model.train()
    for step in range(steps):
        loss = loss_of_batch()
        torch.autograd.backward(loss)
        optimiser.step(step)
        if step % 50 == 0 or step + 1 == steps:
            print(f"step {step + 1} of {steps}: loss {float(loss.detach()):.3f}", flush=True)


def main() -> None:
    """Train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("world", type=Path)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    trained(given.world, given.encoder, given.out, given.steps, given.seed)


if __name__ == "__main__":
    main()
