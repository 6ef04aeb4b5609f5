"""Training of the encoder: a rendered world in, a Hugging Face directory out."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.errors import InvalidInput
from engine.files import disk_errors, write_json
from trainer.collection.annotations import JudgedQuery, load_queries
from trainer.encoder.evaluation import evaluate
from trainer.encoder.events import CaptionedEvent, load_events
from trainer.encoder.frames import Frames, sample_frames
from trainer.encoder.model import build_model, image_processor, normalise, warm_start
from trainer.encoder.objective import AttributeHeads, Patches, Thumbnail, contrast
from trainer.encoder.optimiser import Optimiser
from trainer.encoder.output import new_directory
from trainer.encoder.sampling import FrameSampler
from trainer.encoder.settings import EncoderSettings
from trainer.encoder.speech import SpokenPairs, speech_pairs
from trainer.encoder.texts import WeightedTexts, visual_texts
from trainer.encoder.tokenizer import train_tokenizer
from trainer.runs import Diverged, pick_device, seed_everything
from workers.ranker.encoder.encoder import Encoder, quietly
from workers.ranker.encoder.image_transform import ImageTransform

# Told of the phase, how much of it is done, how much there is, and a note.
OnProgress = Callable[[str, int, int, str], None]
Rows = NDArray[np.int64]


def train_encoder(
    world: Path,
    out: Path,
    settings: EncoderSettings,
    *,
    force: bool = False,
    on_progress: OnProgress = lambda phase, done, total, note: None,
) -> dict[str, Any]:
    """Train on WORLD's train split, write `out` whole or not at all, and return the summary.

    The directory loads with CLIPModel.from_pretrained and Encoder.load; out/train/summary.json says how it
    was made. The same seed gives the same model on the same machine. Raises NotFound or InvalidInput for what
    is not a world, and InvalidInput where `out` exists and `force` is not given.
    """
    began, cpu = time.monotonic(), time.process_time()
    with new_directory(out, force) as folder:
        events = load_events(world)
        train, val = choose(events, settings), [event for event in events if event.split == "val"]
        if len(train) < 2:
            raise InvalidInput(f"{world} has {len(train)} training events; render more videos.")
        path = world / "annotations" / "train.json"
        queries = load_queries(path) if path.is_file() else []
        summary = _fit(world, train, queries, folder, settings, on_progress)
        encoder = Encoder.load(str(folder), settings.device, "float32")
        summary |= {"val": _evaluated(world, val, encoder, settings), "fingerprint": encoder.fingerprint}
        summary |= {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - cpu}
        write_json(folder / "train" / "summary.json", {**summary, "settings": asdict(settings)})
    return {"encoder": str(out), **summary}


def choose(events: Sequence[CaptionedEvent], settings: EncoderSettings) -> list[CaptionedEvent]:
    """Return the events of the train split, or of as many of its videos as there is time for."""
    train = [event for event in events if event.split == "train"]
    videos = sorted({event.video for event in train})
    order = np.random.default_rng([settings.seed, 2]).permutation(len(videos))
    kept: set[str] = set()
    count = 0
    for place in order:
        if count < settings.most_events:
            kept.add(videos[place])
            count += sum(event.video == videos[place] for event in train)
    return [event for event in train if event.video in kept]


def _evaluated(
    world: Path, val: Sequence[CaptionedEvent], encoder: Encoder, settings: EncoderSettings
) -> dict[str, Any] | None:
    if not val:
        return None
    frames = sample_frames(world, val, settings.val_frames_per_event, encoder.transform, settings.seed)
    return evaluate(encoder, val, frames)


def _fit(
    world: Path,
    events: Sequence[CaptionedEvent],
    queries: Sequence[JudgedQuery],
    folder: Path,
    settings: EncoderSettings,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """Train on `events` and save model, tokenizer and image processor in `folder`."""
    seed_everything(settings.seed)
    tokenizer = train_tokenizer(_corpus(events, queries), settings.vocabulary, settings.shape.max_tokens)
    texts = visual_texts(events, queries, tokenizer, np.random.default_rng([settings.seed, 3]))
    speech = speech_pairs(events, queries, tokenizer)
    processor = image_processor(settings.shape)
    transform = ImageTransform.from_processor(processor)
    videos = len({event.video for event in events})
    frames = sample_frames(
        world,
        events,
        settings.frames_per_event,
        transform,
        settings.seed,
        lambda done: on_progress("decoding", done, videos, ""),
    )
    with quietly():
        model = build_model(settings.shape, len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id)
    sample = torch.from_numpy(np.random.default_rng([settings.seed, 4]).permutation(len(frames.pixels))[:500])
    warm_start(model.vision_model, settings.shape, normalise(frames.pixels[sample].float(), transform))
    trainer = Trainer(model, events, frames, texts, speech, transform, settings)
    loss = _train(model, trainer, settings, on_progress)
    with quietly(), disk_errors(folder):
        for part in (model.to("cpu"), tokenizer, processor):
            part.save_pretrained(folder)
    counts = {"events": len(events), "videos": videos, "frames": len(frames.pixels), "texts": len(texts.ids)}
    return {**counts, "spoken": len(speech) if speech else 0, "steps": settings.steps, "loss": loss}


def _train(model: Any, trainer: "Trainer", settings: EncoderSettings, on_progress: OnProgress) -> float:
    """Run all steps and return the last one's loss; Diverged where it or the model is not finite."""
    loss = 0.0
    for step in range(settings.steps):
        loss = trainer.step(step)
        if not math.isfinite(loss):
            raise Diverged("loss is", step + 1, "another --seed")
        on_progress("training", step + 1, settings.steps, f"loss {loss:.2f}")
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise Diverged(f"numbers in {name} are", settings.steps, "another --seed")
    return loss


def _corpus(events: Sequence[CaptionedEvent], queries: Sequence[JudgedQuery]) -> list[str]:
    said = [text for e in events for text in (e.caption, e.still, e.subtitle, e.spoken) if text]
    return said + [query.query for query in queries]


class Trainer:
    """A model with everything it learns from; one step at a time."""

    def __init__(
        self,
        model: Any,
        events: Sequence[CaptionedEvent],
        frames: Frames,
        texts: WeightedTexts,
        speech: SpokenPairs | None,
        transform: ImageTransform,
        settings: EncoderSettings,
    ) -> None:
        device = pick_device(settings.device)
        self._device, self._settings, self._transform = device, settings, transform
        self._count, self._texts, self._speech = len(events), texts, speech
        self._sampler = FrameSampler(frames, events, settings.augmentation, settings.moved, settings.seed)
        self._rng = np.random.default_rng([settings.seed, 5])
        self._seen = AttributeHeads(settings.shape.dim, [event.seen for event in events])
        self._told = AttributeHeads(settings.shape.dim, [event.told for event in events])
        self._seen_labels = self._seen.labels([event.seen for event in events]).to(device)
        self._told_labels = self._told.labels([event.told for event in events]).to(device)
        self._thumbnail = Thumbnail(settings.shape.dim)
        things = [event.thing for event in events]
        self._patches = Patches(settings.shape.width, things)
        self._thing_labels = self._patches.kinds.labels(things).to(device)
        self._single = torch.tensor([bool(kind) for kind in things]).to(device)
        self._model = model.to(device).train()
        heads = torch.nn.ModuleList([self._seen, self._told, self._thumbnail, self._patches]).to(device)
        self._optimiser = Optimiser(
            model,
            heads,
            lr=settings.lr,
            muon_lr=settings.muon_lr,
            weight_decay=settings.weight_decay,
            steps=settings.steps,
        )

    def step(self, step: int) -> float:
        """Learn from one batch; return its loss."""
        settings = self._settings
        count = min(settings.batch, self._count)
        events = self._rng.choice(self._count, count, replace=False)
        pixels, masks = self._sampler.draw(events, settings.backgrounds, step / settings.steps)
        inputs = normalise(pixels.to(self._device), self._transform)
        masks = masks.to(self._device)
        rows = self._texts.draw(events, self._rng)
        seen = self._model.get_image_features(pixel_values=inputs, output_hidden_states=True)
        shown = seen.pooler_output
        told = self._embed(self._texts.inputs(rows))
        weights = self._texts.weights[torch.from_numpy(events)][:, torch.from_numpy(rows)].to(self._device)
        loss = contrast(shown, told, weights, self._scale())
        loss = loss + settings.thumbnail_weight * self._thumbnail(shown, inputs)
        loss = loss + settings.attributes_weight * self._read(shown[:count], told, events, rows)
        # What the last layer gathers from: the patches' states before it.
        states = seen.hidden_states[-2][:count, 1:]
        loss = loss + settings.patches_weight * self._located(states, masks[:count], events)
        if self._speech is not None:
            loss = loss + settings.speech_weight * self._spoken(self._speech)
        loss.backward()
        self._optimiser.step(step)
        return float(loss.detach())

    def _located(self, states: torch.Tensor, masks: torch.Tensor, events: Rows) -> torch.Tensor:
        chosen = torch.from_numpy(events)
        loss: torch.Tensor = self._patches(states, masks, self._thing_labels[chosen], self._single[chosen])
        return loss

    def _read(
        self,
        shown: torch.Tensor,
        told: torch.Tensor,
        events: Rows,
        rows: Rows,
    ) -> torch.Tensor:
        """Return the loss of reading attributes off frames, and off captions also those no frame shows."""
        loss: torch.Tensor = self._seen(shown, self._seen_labels[torch.from_numpy(events)])
        owners = self._texts.captions[torch.from_numpy(rows)].to(self._device)
        if bool((owners >= 0).any()):
            loss = loss + self._told(told[owners >= 0], self._told_labels[owners[owners >= 0]])
        return loss

    def _spoken(self, speech: SpokenPairs) -> torch.Tensor:
        count = min(self._settings.spoken, len(speech))
        pairs = self._rng.choice(len(speech), count, replace=False)
        asks, answers = self._embed(speech.inputs(pairs)).chunk(2)
        chosen = torch.from_numpy(pairs)
        return contrast(asks, answers, speech.weights[chosen][:, chosen].to(self._device), self._scale())

    def _embed(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        on_device = {name: tensor.to(self._device) for name, tensor in inputs.items()}
        pooled: torch.Tensor = self._model.get_text_features(**on_device).pooler_output
        return pooled

    def _scale(self) -> torch.Tensor:
        scale: torch.Tensor = self._model.logit_scale.exp().clamp(max=100.0)
        return scale
