"""How fast one query is encoded, and what 8 bits change: `python -m bench.text_speed --help`."""

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from trainer.encoder.tokenizer import train_tokenizer
from workers.ranker.encoder.encoder import Encoder
from workers.ranker.encoder.image_transform import ImageTransform
from workers.ranker.encoder.text_precision import SENTENCES, agreement, prepared

LENGTHS = (8, 16, 32, 77)


@dataclass(frozen=True, slots=True)
class Line:
    """Median milliseconds for one text of `tokens` tokens, with `threads` threads."""

    precision: str
    threads: int
    tokens: int
    milliseconds: float


def random_text_encoder(width: int = 768, layers: int = 12, seed: int = 0) -> Encoder:
    """Return a CLIP whose text tower has random weights and ViT-L/14's size, and hardly a vision tower."""
    from transformers.models.clip.configuration_clip import CLIPConfig
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.clip.modeling_clip import CLIPModel

    tokenizer = train_tokenizer(SENTENCES, 600, 77)
    text = {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": width // 64,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1}
    torch.manual_seed(seed)
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=width))
    transform = ImageTransform.from_processor(CLIPImageProcessorPil())
    name = f"random-{width}x{layers}-{seed}"
    return Encoder(model.eval().requires_grad_(False), tokenizer, transform, name=name, fingerprint=name)


def text_of(encoder: Encoder, tokens: int) -> str:
    """Return a text of exactly `tokens` tokens, markers included."""
    words = "a"
    while (found := len(encoder.text([words]).tokens[0])) < tokens:
        words += " a" * (tokens - found)
    return words


def median_ms(call: Callable[[], object], repeats: int) -> float:
    """Return the median milliseconds of a call, after two to warm up."""
    times = []
    for _ in range(repeats + 2):
        began = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times[2:])


def measure(
    encoder: Encoder, directory: Path, threads: int, lengths: Sequence[int] = LENGTHS, repeats: int = 15
) -> Iterator[Line]:
    """Yield the lines of both precisions; the 8-bit tower is kept in `directory`."""
    with _threads(threads):
        texts = {tokens: text_of(encoder, tokens) for tokens in lengths}
        for precision, tower in (("float32", None), ("int8", prepared(encoder, directory, threads))):
            encoder.use_tower(tower)
            for tokens, text in texts.items():
                taken = median_ms(lambda text=text: encoder.text([text]), repeats)  # type: ignore[misc]
                yield Line(precision, threads, tokens, taken)
            encoder.use_tower(None)


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def main() -> None:
    """Print the table of docs/experiments/2026-11-text-tower.md."""
    parser = argparse.ArgumentParser(prog="python -m bench.text_speed", description=__doc__)
    parser.add_argument(
        "--encoder", default="", help="directory or hub name; default: ViT-L/14's size, random"
    )
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=15)
    asked = parser.parse_args()
    encoder = Encoder.load(asked.encoder, "cpu") if asked.encoder else random_text_encoder()
    with tempfile.TemporaryDirectory() as folder:
        print("| precision | threads | tokens | ms |\n|---|---|---|---|")
        for threads in asked.threads:
            for line in measure(encoder, Path(folder), threads, repeats=asked.repeats):
                print(f"| {line.precision} | {line.threads} | {line.tokens} | {line.milliseconds:.1f} |")
        if tower := prepared(encoder, Path(folder), asked.threads[-1]):
            found = agreement(encoder, tower)
            print(f"\nleast cosine of pooled features {found.pooled:.5f}, of token states {found.tokens:.5f}")


if __name__ == "__main__":
    main()
