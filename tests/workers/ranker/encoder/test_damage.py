"""A directory whose files are damaged or incomplete is refused by the name of the file to blame."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.errors import InvalidInput, Mismatch, SprError, Unavailable
from tests.workers.ranker.factories import tiny_clip
from workers.ranker.encoder.damage import refusing
from workers.ranker.encoder.encoder import Encoder
from workers.ranker.encoder.families import Family


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("clip"))


def refusal(folder: Path) -> str:
    with pytest.raises(SprError) as caught:
        Encoder.load(str(folder), "cpu")
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["preprocessor_config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda data: data[: len(data) // 2], "not JSON|is not complete: [0-9]+ of [0-9]+ bytes"),
        (lambda data: b"", "not JSON|cut off within its header"),
        (lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "pointer of Git LFS"),
        (lambda data: b"<html>not found</html>", "not JSON|no safetensors file"),
        (lambda data: b"\xef\xbb\xbf" + data, "byte order mark|no safetensors file"),
    ],
    ids=["half", "empty", "pointer", "page", "mark"],
)
def test_a_damaged_file_is_named(
    clip: Path, tmp_path: Path, name: str, harm: Callable[[bytes], bytes], why: str
) -> None:
    folder = shutil.copytree(clip, tmp_path / "copy")
    (folder / name).write_bytes(harm((folder / name).read_bytes()))
    message = refusal(folder)
    assert message.startswith(f"{folder / name} ")
    assert message.endswith("; save or fetch the model again.")
    assert re.search(why, message)


def test_a_missing_part_and_sizes_that_differ_are_named(clip: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(clip, tmp_path / "copy")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"projection_dim": 33}))
    assert "weights of other sizes than config.json says" in refusal(folder)
    (folder / "preprocessor_config.json").unlink()
    (folder / "config.json").write_text(json.dumps(config))
    assert "has no preprocessor_config.json" in refusal(folder)


def test_a_tokenizer_that_cannot_pad_is_refused(clip: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(clip, tmp_path / "copy")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"pad_token": None}))
    assert "cannot read sentences (Asking to pad" in refusal(folder)


@pytest.mark.parametrize(
    ("name", "section", "change"),
    [
        ("config.json", "text_config", {"eos_token_id": None}),
        ("config.json", "vision_config", {"num_attention_heads": -2}),
        ("preprocessor_config.json", None, {"max_num_patches": 256}),
        ("preprocessor_config.json", None, {"merge_size": 2}),
        ("tokenizer_config.json", None, {"model_max_length": "77"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_value_that_no_model_runs_with_is_a_sentence_about_the_directory(
    clip: Path, tmp_path: Path, name: str, section: str | None, change: dict[str, object]
) -> None:
    folder = shutil.copytree(clip, tmp_path / "copy")
    config = json.loads((folder / name).read_text())
    (config if section is None else config[section]).update(change)
    (folder / name).write_text(json.dumps(config))
    message = refusal(folder)
    assert message.startswith(f"{folder} cannot be loaded (")
    assert not re.search(r"NoneType|object|argument|Error", message)


@pytest.mark.parametrize("tower", ["text", "vision"])
def test_weights_of_more_layers_than_the_configuration_are_refused(
    clip: Path, tmp_path: Path, tower: str
) -> None:
    folder = shutil.copytree(clip, tmp_path / "copy")
    config = json.loads((folder / "config.json").read_text())
    config[f"{tower}_config"]["num_hidden_layers"] -= 1
    (folder / "config.json").write_text(json.dumps(config))
    assert f"more layers than config.json says, such as {tower}_model.encoder.layers.1" in refusal(folder)


def test_weights_of_no_layer_beside_the_models_are_passed_over(clip: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(clip, tmp_path / "copy")
    weights = load_file(folder / "model.safetensors")
    weights |= {"head.0.weight": torch.ones(2), "text_model.embeddings.position_ids": torch.arange(16)[None]}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    Encoder.load(str(folder), "cpu")


@pytest.mark.parametrize(
    ("error", "kind", "why"),
    [
        (MemoryError(), Unavailable, "does not fit into the memory that is free"),
        (torch.OutOfMemoryError("CUDA out of memory"), Unavailable, "does not fit into the memory"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory"),
            Unavailable,
            "does not fit into the memory",
        ),
        (
            PermissionError(13, "Permission denied", "/m/config.json"),
            InvalidInput,
            "/m/config.json cannot be used",
        ),
        (
            OSError(24, "Too many open files", "/m/a"),
            InvalidInput,
            "cannot be used .Too many open files",
        ),
        (ImportError("\nIt requires SentencePiece.\n"), Mismatch, "It requires SentencePiece.; install it"),
        (FileNotFoundError("no such file"), Mismatch, "no such file"),
    ],
)
def test_a_machine_that_fails_is_no_fault_of_the_files(
    clip: Path, error: Exception, kind: type[SprError], why: str
) -> None:
    with pytest.raises(kind, match=why), refusing(clip):
        raise error


def test_a_torchvision_of_another_torch_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny_clip(tmp_path)

    def fail(*_: Any) -> None:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(Family, "model_class", fail)
    with pytest.raises(Unavailable, match=r"another torch than .*nms does not exist.*pip uninstall torchv"):
        Encoder.load(str(folder), "cpu")
