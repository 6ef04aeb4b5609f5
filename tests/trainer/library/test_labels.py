"""Labels and dates from the feature store to the versions, and through what is made of these."""

from pathlib import Path

from engine.corpus import open_corpus
from tests.trainer.library.living import collection, store
from trainer.generation.build import BuildConfig, build
from trainer.library.adding import add
from trainer.library.compacting import compact
from trainer.library.kits import Kits


def test_other_labels_make_a_version_and_outlive_a_merge_and_a_build(tmp_path: Path) -> None:
    path = collection(tmp_path / "c", {f"v0{n}": (n % 3, 5 + n) for n in range(6)})
    kits = Kits("cpu")
    assert add(path, ["v03"], kits).videos == ()
    with store(path) as features:
        for video, label in (("v03", "news"), ("v04", "sports")):
            record = features.record(video)
            features.revise(video, uri=record.uri, info=record.info | {"labels": [label], "date": 7.0})
    assert add(path, ["v03", "v04", "v05"], kits).videos == ("v03", "v04")
    compact(path)
    wanted = {"v03": (("news",), 7.0), "v04": (("sports",), 7.0)}
    assert facts(path) == wanted
    build(BuildConfig(collection=path, device="cpu"))
    assert facts(path) == wanted
    assert build(BuildConfig(collection=path, device="cpu")).reused


def facts(path: Path) -> dict[str, tuple[tuple[str, ...], float]]:
    catalogue = open_corpus(path).catalogue
    rows = zip(catalogue.ids, catalogue.facts.labels, catalogue.facts.dates.tolist(), strict=True)
    return {video: (labels, date) for video, labels, date in rows if labels}
