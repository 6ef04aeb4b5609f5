"""Pickles that are hostile, damaged, or of something else."""

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.errors import InvalidInput, NotFound
from tests.parity import files
from tests.trainer.formats.states import SAVES, archive, projector_state
from trainer.formats.checkpoints import read_checkpoint
from trainer.formats.unpickle import Inert, UnreadTensor, read_torch


class Evil:
    """What a hostile file asks of whoever loads it."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


class Deep(Evil):
    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (Evil(self.command), "append"), {"x": 1}, iter([1, 2]), iter([("k", "v")])


@pytest.mark.parametrize("how", SAVES, ids=["zip", "legacy"])
@pytest.mark.parametrize("cls", [Evil, Deep])
def test_nothing_in_a_file_runs(tmp_path: Path, cls: type[Evil], how: dict[str, Any]) -> None:
    marker = tmp_path / "ran"
    evil = cls(f"touch {marker}")
    torch.save({"model_state_dict": projector_state(), "extra": [evil, {evil}]}, tmp_path / "a.pt", **how)
    assert read_checkpoint(tmp_path / "a.pt").kind == "projector"
    assert isinstance(read_torch(tmp_path / "a.pt")["extra"][0], Inert)
    state: dict[str, Any] = {**projector_state(), "temp_proj.bias": evil}
    torch.save({"model_state_dict": state}, tmp_path / "b.pt", **how)
    named = "os.system|posix.system|builtins.getattr"
    with pytest.raises(InvalidInput, match=f"temp_proj.bias in its model_state_dict is a ({named}), not a t"):
        read_checkpoint(tmp_path / "b.pt")
    torch.save({"model_state_dict": evil}, tmp_path / "c.pt", **how)
    with pytest.raises(InvalidInput, match=f"its model_state_dict is a ({named})"):
        read_checkpoint(tmp_path / "c.pt")
    torch.save(evil, tmp_path / "d.pt", **how)
    with pytest.raises(InvalidInput, match="no parts by name"):
        read_checkpoint(tmp_path / "d.pt")
    assert not marker.exists()


PROGRAMS = {
    # An object numbered 2**31 - 1, for which the C unpickler would make room.
    "far memo": b"\x80\x02}r\xff\xff\xff\x7f.",
    # Changes of what the reader itself uses, by name: class attributes, functions' defaults.
    "set class": b"\x80\x02ccollections\nOrderedDict\nN}U\x04keysK\x01s\x86b.",
    "set function": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}U\x05_callK\x01s\x86b.",
    "set type": b"\x80\x02c__builtin__\nset\nN}U\x03addK\x01s\x86b.",
    "no storage": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x02K\x03K\x04tR.",
    "other reference": b"\x80\x02U\x06moduleK\x01\x86Q.",
    "stops early": b"\x80\x02}(U\x01a",
    "nonsense": b"\x80\x02\xfe\xfe.",
    "empty": b"",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_hostile_or_damaged_program_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.pt"
    archive(path, {"archive/data.pkl": PROGRAMS[name]})
    with pytest.raises(InvalidInput, match=r"model.pt (is no sound file|has no model_state_dict|holds a )"):
        read_checkpoint(path)
    good = files.stage1(tmp_path / "good.bin", projector_state(layers=1))
    assert read_checkpoint(good).kind == "projector"


def test_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with pytest.raises(NotFound, match="does not exist"):
        read_checkpoint(path)
    path.write_text("hello")
    with pytest.raises(InvalidInput, match="does not begin as one"):
        read_checkpoint(path)
    path.write_bytes(pickle.dumps({"model_state_dict": {}}))
    with pytest.raises(InvalidInput, match="does not begin as one"):
        read_checkpoint(path)
    archive(path, {"word/document.xml": b"<a/>"})
    with pytest.raises(InvalidInput, match=r"without data\.pkl"):
        read_checkpoint(path)
    archive(path, {"a/data.pkl": b"\x80\x02}."}, zipfile.ZIP_DEFLATED)
    with pytest.raises(InvalidInput, match="compressed"):
        read_checkpoint(path)
    archive(path, {"a/data.pkl": b"\x80\x02}.", "a/byteorder": b"big"})
    with pytest.raises(InvalidInput, match="big-endian"):
        read_checkpoint(path)
    torch.save([1, 2], path)
    with pytest.raises(InvalidInput, match="holds a list"):
        read_checkpoint(path)
    torch.save({"weights": 1, "epoch": 2}, path)
    with pytest.raises(InvalidInput, match="no model_state_dict but weights, epoch"):
        read_checkpoint(path)
    torch.save({"fc.weight": torch.ones(2, 2)}, path)
    with pytest.raises(InvalidInput, match=r"neither a projector .* nor a ranker"):
        read_checkpoint(path)


def test_a_cut_or_lying_file_is_refused(tmp_path: Path) -> None:
    for how in SAVES:
        path = files.stage1(tmp_path / "ckpt.bin", projector_state(layers=1), **how)
        content = path.read_bytes()
        # Without its index a zip is no zip; a legacy file lacks the last storages, which are not the model's.
        for kept in (10, len(content) // 3):
            path.write_bytes(content[:kept])
            with pytest.raises(InvalidInput, match="no sound file"):
                read_checkpoint(path)
    torch.save({"model_state_dict": projector_state(layers=1)}, tmp_path / "whole.bin")
    with zipfile.ZipFile(tmp_path / "whole.bin") as whole:
        entries = {name: whole.read(name) for name in whole.namelist()}
    storage = next(name for name in entries if name.endswith("data/0"))
    archive(path, {**entries, storage: entries[storage][:-1]})
    with pytest.raises(InvalidInput, match="a storage has 3 bytes for its 1 values"):
        read_checkpoint(path)
    del entries[storage]
    archive(path, entries)
    with pytest.raises(InvalidInput, match="no item named"):
        read_checkpoint(path)


def test_a_tensor_cannot_reach_beyond_its_storage(tmp_path: Path) -> None:
    torch.save(torch.arange(6.0).reshape(2, 3), tmp_path / "one.pt")
    held = read_torch(tmp_path / "one.pt")
    assert torch.equal(held.tensor(), torch.arange(6.0).reshape(2, 3))
    for offset, shape, strides in (
        (1, (2, 3), (3, 1)),
        (0, (2, 3), (4, 1)),
        (-1, (2,), (1,)),
        (0, (10**9,), (0,)),
        (0, (2, -3), (3, 1)),
    ):
        with pytest.raises(ValueError, match="reaches beyond"):
            UnreadTensor(held.storage, offset, shape, strides).tensor()
    assert UnreadTensor(held.storage, 0, (0, 4), (4, 1)).tensor().shape == (0, 4)
