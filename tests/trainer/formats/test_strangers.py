"""Files made to read, write, fill or hang what they should not: each is refused, at little cost."""

import json
import pickle
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from engine.errors import InvalidInput, SprError
from tests.trainer.formats import tvr
from tests.trainer.formats.test_checkpoints import archive
from tests.trainer.ranker.world import make_collection
from trainer.formats.arrays import Arrays, Folder
from trainer.formats.layout import Layout
from trainer.formats.names import check_names
from trainer.formats.sidecar import read_sidecar
from trainer.formats.tvr_export import export_tvr_ranking
from trainer.formats.tvr_import import import_tvr_ranking
from workers.ranker.projection.projector import KIND, Projector, ProjectorConfig, load_projector
from workers.ranker.stores.checkpoint import save_model

SECONDS, BYTES = 2.0, 500 << 20

SECRET = np.arange(64, dtype=np.float16)


def linked(path: Path, secret: Path, kind: str) -> None:
    """Write an HDF5 file that names bytes of another file."""
    with h5py.File(secret.with_suffix(".h5"), "w") as file:
        file["secret"] = SECRET
    secret.write_bytes(SECRET.tobytes())
    with h5py.File(path, "w") as file:
        file["good"] = np.zeros((2, 4), np.float32)
        if kind == "external link":
            file["bad"] = h5py.ExternalLink(str(secret.with_suffix(".h5")), "secret")
        elif kind == "soft link":
            file["bad"] = h5py.SoftLink("/good")
        elif kind == "external storage":
            external = [(str(secret), 0, h5py.h5f.UNLIMITED)]
            file.create_dataset("bad", (8, 8), np.float16, external=external)
        elif kind == "virtual":
            layout = h5py.VirtualLayout((64,), np.float16)
            layout[:] = h5py.VirtualSource(str(secret.with_suffix(".h5")), "secret", (64,))
            file.create_virtual_dataset("bad", layout)
        elif kind == "group":
            file["bad/deeper"] = SECRET
        elif kind == "text":
            file["bad"] = "hello"
        elif kind == "huge":
            file.create_dataset("bad", (1 << 40, 4), np.float32, chunks=(1024, 4))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("external link", "is a link"),
        ("soft link", "is a link"),
        ("external storage", "lies in another file"),
        ("virtual", "lies in another file"),
        ("group", "is a group"),
        ("text", "of numbers"),
        ("huge", "cannot fill"),
    ],
)
def test_hdf5_gives_only_what_lies_in_the_file(tmp_path: Path, kind: str, expected: str) -> None:
    linked(tmp_path / "a.h5", tmp_path / "secret.bin", kind)
    with pytest.raises(InvalidInput, match=f"'bad' .*{expected}"):
        Arrays(tmp_path / "a.h5")


def test_an_import_brings_in_no_other_file(tmp_path: Path) -> None:
    data = tvr.write_layout(tmp_path / "data")
    path = data / tvr.LAYOUT["clip"]
    tvr.change(path, "zoo", None)
    with h5py.File(tmp_path / "other.h5", "w") as other, h5py.File(path, "a") as file:
        other["secret"] = np.ones((28, tvr.FRAMES), np.float32)
        file["zoo"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "secret")
    with pytest.raises(InvalidInput, match="'zoo' is a link"):
        import_tvr_ranking(Layout(data), tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_npy_files_hold_what_their_header_says(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 4), np.float32))
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(whole.replace(b"(2, 4), }     ", b"(99999999, 4),"))
    with pytest.raises(InvalidInput, match=r"a\.npy is no array of numbers"):
        Folder(tmp_path)
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(InvalidInput, match=r"a\.npy is no array of numbers"):
        Folder(tmp_path)


NAMES = ("../../x", "/abs/x", "..", ".", "", "a\0b", "a/b", "a\\b", "a\nb", "a\x1b[31m", "x" * 300)


@pytest.mark.parametrize("name", NAMES)
def test_names_are_one_part_of_a_path(name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be the name of a file"):
        check_names(["fine", name], "video", Path("corpus.json"))


@pytest.mark.parametrize("name", ["../../../outside", "{root}/outside"])
def test_an_export_writes_inside_its_folder(tmp_path: Path, name: str) -> None:
    collection = make_collection(tmp_path / "c", train=4, val=2)
    (folder,) = (collection / "features").iterdir()
    evil = name.format(root=tmp_path)
    journal = (folder / "journal.jsonl").read_text().splitlines()
    # As a store of a stranger has it: whoever opens it may refuse it, or the export does.
    first = json.loads(journal[0])
    lines = [json.dumps({**first, "id": evil}), *journal[1:]]
    (folder / "journal.jsonl").write_text("\n".join(lines) + "\n")
    before = {path for path in tmp_path.rglob("*") if "out" not in path.parts}
    with pytest.raises(SprError):
        export_tvr_ranking(collection, tmp_path / "parent" / "out", device="cpu")
    assert {path for path in tmp_path.rglob("*") if path.suffix == ".npy"} == set()
    assert {path for path in tmp_path.rglob("outside*")} == set()
    assert before <= {*tmp_path.rglob("*")}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"encoder": "../../outside"}, "the encoder '../../outside'"),
        ({"encoder": "/abs"}, "the encoder '/abs'"),
        ({"streams": {"../../x": {"dim": 4, "step": 1.0}}, "files": {"clip": "../../x"}}, "the stream"),
        ({"files": {"../../x": "frames"}}, "unknown files"),
        ({"dtype": "object"}, "unknown files or element type"),
        ({"name": ["a"]}, "streams or texts"),
    ],
)
def test_a_sidecar_names_nothing_outside(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    good = {
        "format": 1,
        "encoder": "abc",
        "name": "n",
        "source": "",
        "dtype": "float32",
        "streams": {"frames": {"dim": 4, "step": 1.0}},
        "files": {"clip": "frames"},
    }
    (tmp_path / "spr.json").write_text(json.dumps(good))
    assert read_sidecar(Layout(tmp_path)) is not None
    (tmp_path / "spr.json").write_text(json.dumps({**good, **change}))
    with pytest.raises(InvalidInput, match=expected):
        read_sidecar(Layout(tmp_path))


def test_an_import_refuses_video_names_that_are_paths(tmp_path: Path) -> None:
    data = tvr.write_layout(tmp_path / "data")
    path = data / tvr.LAYOUT["annotations"] / "video_corpus_sorted.json"
    tvr.dump(path, {**tvr.VIDEOS, "../../secret": 4.0})
    with pytest.raises(InvalidInput, match=r"the video '\.\./\.\./secret'"):
        import_tvr_ranking(Layout(data), tmp_path / "c")


def nested_tuples(depth: int) -> bytes:
    return b"N" + b"2\x86" * depth


def operations(*parts: bytes) -> bytes:
    return b"\x80\x04" + b"".join(parts) + b"."


PROGRAMS = {
    "bytearray of 3 GB": operations(b"\x96" + struct.pack("<Q", 3 << 30)),
    "bytes of 3 GB": operations(b"\x8e" + struct.pack("<Q", 3 << 30)),
    "text of 3 GB": operations(b"\x8d" + struct.pack("<Q", 3 << 30)),
    "frame of 3 GB": operations(b"\x95" + struct.pack("<Q", 3 << 30)),
    "nested tuples as a key": operations(b"}", nested_tuples(64), b"Ns"),
    "nested tuples in a set": operations(b"\x8f(", nested_tuples(64), b"\x90"),
    "nested tuples in a frozenset": operations(b"(", nested_tuples(64), b"\x91"),
    "nested tuples in a named set": operations(b"cbuiltins\nset\n]", nested_tuples(64), b"a\x85R"),
    "nested tuples as a storage": operations(nested_tuples(64), b"Q"),
    "nested tuples as a value": operations(b"}U\x10model_state_dict}U\x01a", nested_tuples(64), b"ss"),
    "a million steps": operations(b"N0" * 500_001),
    "a hundred thousand classes": operations(*(f"cos\nf{n}\n0".encode() for n in range(100_000))),
    "copies of a dict": operations(
        b"}q\x00(",
        *(b"M" + struct.pack("<H", n) + b"N" for n in range(60_000)),
        b"u0",
        b"ccollections\nOrderedDict\nh\x00\x85R0" * 20_000,
        b"N",
    ),
    "shape of long numbers": operations(
        b"ctorch._utils\n_rebuild_tensor_v2\n(N",
        b"K\x00(",
        b"\x8b" + struct.pack("<I", 1 << 20) + b"\x7f" * (1 << 20),
        b"2" * 10_000,
        b"t)tR",
    ),
}


CHILD = """
import resource, sys, time
from pathlib import Path
from engine.errors import SprError
from trainer.formats.checkpoints import read_checkpoint
from workers.ranker.projection.projector import load_projector
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in map(Path, sys.argv[1:]):
    began = time.process_time()
    try:
        load_projector(path) if path.is_dir() else read_checkpoint(path)
        raise SystemExit(f"{path} was taken")
    except SprError as error:
        assert str(path) in str(error) and len(str(error)) < 1000 and chr(10) not in str(error), error
    print(path.name, time.process_time() - began, flush=True)
print("bytes", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10)
"""


def test_every_exploit_is_refused_at_little_cost(tmp_path: Path) -> None:
    paths = []
    for name, program in PROGRAMS.items():
        zipped, legacy = (tmp_path / f"{name.replace(' ', '-')}.{end}" for end in ("zip", "old"))
        archive(zipped, {"archive/data.pkl": program})
        magic = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
        legacy.write_bytes(magic + program)
        paths += [zipped, legacy]
    # A thousand views of one storage of 4 MB are 4 GB.
    many = tmp_path / "many-views.pt"
    shared = torch.zeros(1 << 20)
    torch.save({"model_state_dict": {str(number): shared for number in range(1000)}}, many)
    for name, config in (
        ("wide", {"dim": 1 << 40, "heads": 1}),
        ("long", {"positions": 1 << 40}),
        ("tall", {"layers": 10**9}),
        ("no-heads", {"heads": 0}),
    ):
        small = Projector(ProjectorConfig(dim=8, layers=1, heads=2, type="seqTransf"))
        save_model(tmp_path / name, KIND, small.config, small.state_dict())
        card = json.loads((tmp_path / name / "config.json").read_text())
        card["config"] |= config
        (tmp_path / name / "config.json").write_text(json.dumps(card))
        paths.append(tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, [*paths, many])],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-800:] + done.stdout[-200:]
    *rows, (_, room) = (line.rsplit(" ", 1) for line in done.stdout.strip().split("\n"))
    assert len(rows) == len(paths) + 1
    assert {name: float(seconds) for name, seconds in rows if float(seconds) > SECONDS} == {}
    assert int(room) < BYTES


def test_a_card_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    small = Projector(ProjectorConfig(dim=8, layers=1, heads=2))
    save_model(tmp_path / "m", KIND, small.config, small.state_dict())
    path = tmp_path / "m" / "config.json"
    card = json.loads(path.read_text())
    for text in ("null", "[]", json.dumps({**card, "config": []}), json.dumps({**card, "kind": 1})):
        path.write_text(text)
        with pytest.raises(InvalidInput, match=r"config\.json"):
            load_projector(tmp_path / "m")
