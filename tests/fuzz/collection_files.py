"""Readers of our own files: versions, parts, catalogues, feature stores, jobs, snapshots."""

import dataclasses
import json
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

from engine import parts, sealed, versions, wire_admin
from engine.catalogue import CATALOGUE, PartCatalogue
from engine.corpus import open_corpus
from engine.entries import Part
from engine.errors import SprError
from engine.files import read_json
from engine.values import filled
from engine.verification import verify
from spr.v1.admin_service_pb2 import Compact, SubmitJobRequest, Verify
from tests.fuzz.targets import Target, each, of_tree
from tests.trainer.library.tiny import write_part, write_version
from tests.workers.feature_store.stores import as_format_1, three
from trainer.collection.places import describe_collection
from trainer.ingest.unfinished import Unfinished
from trainer.library.jobs import Queue
from trainer.library.names import name_of
from trainer.library.restore import restore
from trainer.library.tasks import Outcome
from workers.feature_store.journal import sealed as sealed_line
from workers.feature_store.journal import unsealed
from workers.feature_store.store import FeatureStore

Values = dict[str, Any]


def _collection(folder: Path) -> None:
    (folder / "collection.json").write_text('{"name": "tiny", "format": 1}')
    first = write_part(folder, ["a", "b"])
    one = write_version(folder, [first], reason="build")
    write_version(folder, [first, write_part(folder, ["c"])], parent=one.id)


def _read_collection(folder: Path) -> None:
    with suppress(SprError):
        name_of(folder)
    versions.newest(folder)
    wire_admin.versions_to_pb(folder, "")
    each(
        lambda: describe_collection(folder),
        lambda: _verify(folder),
        lambda: open_corpus(folder, "1"),
    )


def _verify(folder: Path) -> None:
    for part in open_corpus(folder).parts:
        verify(part.directory, part.about)


def _reseal(folder: Path, path: Path) -> None:
    """Give a version the checksum of what it says now."""
    with suppress(SprError, ValueError, RecursionError):
        values = read_json(path, dict)
        values.pop("sha256", None)
        checksum = sealed.digest(values)
        path.write_text(json.dumps({"sha256": checksum, **values}))
        if path.parent.name == versions.VERSIONS:
            (folder / versions.CURRENT).write_text(f"{path.stem}-{checksum[:12]}\n")


def _part(folder: Path) -> None:
    write_part(folder, ["a", "b", "c"])
    made = next((folder / parts.PARTS).iterdir())
    for path in list(made.rglob("*")):
        if path.is_file() and path.name in (parts.PART, CATALOGUE):
            path.rename(folder / path.name)
    (folder / "id").write_text(made.name)


def _read_part(folder: Path) -> None:
    each(
        lambda: parts.read_at(folder, (folder / "id").read_text(errors="replace")),
        lambda: PartCatalogue.open(folder),
    )


def _reseal_part(folder: Path, path: Path) -> None:
    """Give a part.json the id and the checksum of what it says now."""
    if path.name != parts.PART:
        return
    with suppress(SprError, ValueError, RecursionError):
        values: Values = {**read_json(path, dict), "id": ""}
        for key in ("sha256", "format"):
            values.pop(key, None)
        about = filled(Part, values, "it")
        named = dataclasses.replace(about, id=sealed.digest(sealed.plain(about))[:16])
        sealed.write(path, named)
        (folder / "id").write_text(named.id)


def _store(folder: Path) -> None:
    three(folder)


def _old_store(folder: Path) -> None:
    three(folder)
    as_format_1(folder)


def _read_store(folder: Path) -> None:
    def take(mode: Any) -> None:
        with FeatureStore.open(folder, mode) as store:
            for video in store.ids():
                for stream in store.streams:
                    each(partial(store.rows, video, stream))
            if mode == "a":
                store.append("new", {})

    each(lambda: take("r"), lambda: take("a"))


def _reseal_journal(folder: Path, path: Path) -> None:
    """Number and checksum the lines of a journal anew, and let both files hold them."""
    if path.suffix != ".jsonl":
        return
    lines: list[bytes] = []
    for line in path.read_bytes().splitlines():
        with suppress(ValueError, RecursionError, TypeError, AttributeError):
            entry = json.loads(line)
            entry.pop("crc", None)
            entry.pop("n", None)
            lines.append(sealed_line(len(lines), entry))
    for name in ("journal.jsonl", "journal.copy.jsonl"):
        (folder / name).write_bytes(b"".join(lines))
    assert all(unsealed(line) is not None for line in lines)


def _jobs(folder: Path) -> None:
    with closing(Queue(folder, "tiny", 9)) as queue:
        queue.submit(SubmitJobRequest(compact=Compact(), request_id="a"))
        queue.end(queue.take(1)[0], Outcome("done", warnings=["w"]))
        queue.submit(SubmitJobRequest(verify=Verify(), request_id="b"))


def _read_jobs(folder: Path) -> None:
    with closing(Queue(folder, "tiny", 9)) as queue:
        queue.recover()
        each(queue.jobs, lambda: queue.jobs("a"), queue.first)
        for task in queue.take(2):
            queue.end(task, Outcome("done"))
        queue.submit(SubmitJobRequest(compact=Compact(), request_id="new"))


def _restore(folder: Path) -> None:
    target = folder.parent / "restored"
    target.mkdir(exist_ok=True)
    restore(target, str(folder))


def _unfinished(folder: Path) -> None:
    import numpy as np

    for batch in range(2):
        Unfinished(folder / "rows", 3).put(batch, np.ones((2, 3), np.float32))


def _read_unfinished(folder: Path) -> None:
    found = Unfinished(folder / "rows", 3)
    found.take(1, 2)


TARGETS: list[Target] = [
    of_tree("collection", _collection, _read_collection, _reseal),
    of_tree("part", _part, _read_part, _reseal_part),
    of_tree("snapshot", _collection, _restore, _reseal),
    of_tree("store", _store, _read_store, _reseal_journal),
    of_tree("old-store", _old_store, _read_store),
    of_tree("jobs", _jobs, _read_jobs),
    of_tree("unfinished", _unfinished, _read_unfinished),
]
