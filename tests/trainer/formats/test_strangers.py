"""Files made to read, write, fill or hang what they should not: each is refused, at little cost."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from engine.errors import InvalidInput, SprError
from tests.trainer.formats import tvr
from tests.trainer.ranker.world import make_collection
from trainer.formats.arrays import Arrays, Folder
from trainer.formats.layout import Layout
from trainer.formats.names import check_names
from trainer.formats.sidecar import read_sidecar
from trainer.formats.tvr_export import export_tvr_ranking
from trainer.formats.tvr_import import import_tvr_ranking
from workers.ranker.projection.projector import KIND, Projector, ProjectorConfig, load_projector
from workers.ranker.stores.checkpoint import save_model

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


def test_a_card_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    small = Projector(ProjectorConfig(dim=8, layers=1, heads=2))
    save_model(tmp_path / "m", KIND, small.config, small.state_dict())
    path = tmp_path / "m" / "config.json"
    card = json.loads(path.read_text())
    for text in ("null", "[]", json.dumps({**card, "config": []}), json.dumps({**card, "kind": 1})):
        path.write_text(text)
        with pytest.raises(InvalidInput, match=r"config\.json"):
            load_projector(tmp_path / "m")
