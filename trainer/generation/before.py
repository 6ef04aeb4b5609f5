"""Settings, videos and models that a build takes over from the version that is served."""

import contextlib
import dataclasses
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import versions
from engine.corpus import open_corpus
from engine.entries import ModelEntry, Version
from engine.errors import InvalidInput, Mismatch, SprError
from trainer.collection.encoders import encoder_of
from trainer.generation.config import BuildConfig
from trainer.generation.models import choose_model
from trainer.generation.sentences import NONE, Sentences, kept_choice
from workers.feature_store.recalling import recall
from workers.feature_store.store import FeatureStore
from workers.ranker.stores.features import CLIPS

TEXT_ENCODER = "text_encoder"
# What a build is asked, and what it does where neither it nor the version before says.
DEFAULTS: dict[str, Any] = {
    "shards": 1,
    "index": "auto",
    "recall": None,
    "nprobe": None,
    "contexts": "auto",
    TEXT_ENCODER: NONE,
}
# These belong to an index: whoever names another index means another effort too.
_OF_INDEX = ("recall", "nprobe")


@dataclass(frozen=True, slots=True)
class Before:
    """The version that is served; about is None for the first one. ids: of its videos."""

    about: Version | None
    ids: frozenset[str]
    notes: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The version's id, "" for none."""
        return self.about.id if self.about is not None else ""


def before(collection: Path) -> Before:
    """Read the served version; one that cannot be read gives a note and is compared with nothing.

    NotFound for one of an older format, which is to be migrated.
    """
    if not (collection / versions.CURRENT).exists():
        return Before(None, frozenset())
    try:
        corpus = open_corpus(collection)
        return Before(corpus.version, frozenset(corpus.catalogue.ids))
    except SprError as error:
        if error.reason == versions.FORMAT_OLD:
            raise
        note = f"the version before cannot be read, so nothing is compared with it: {error}"
        about = None
        # Of a damaged part, the version still has the settings.
        with contextlib.suppress(SprError):
            about = versions.read(collection)
        return Before(about, frozenset(), (note,))


def settle(config: BuildConfig, served: Before) -> tuple[BuildConfig, list[str]]:
    """Return the settings with nothing left open, and a note of what the version before decided."""
    kept = dict(served.about.settings) if served.about is not None else {}
    if served.about is not None:
        kept.setdefault("shards", len(served.about.shards))
    if config.index is not None:
        kept = {name: value for name, value in kept.items() if name not in _OF_INDEX}
    if config.videos is None and not config.all_videos and kept.get("videos"):
        videos = config.collection / str(kept["videos"])
        if not videos.is_file():
            raise InvalidInput(
                f"the version before was of the videos in {videos}, which is gone: "
                "say --videos FILE, or --videos all."
            )
        config = dataclasses.replace(config, videos=videos)
        said = [f"--videos {videos}"]
    else:
        said = []
    values: dict[str, Any] = {}
    for name, default in DEFAULTS.items():
        if getattr(config, name) is None:
            values[name] = kept.get(name, default)
            if values[name] != default:
                said.insert(0, f"--{name.replace('_', '-')} {values[name]}")
    notes = [*served.notes]
    if said:
        notes.append(f"as the version before: {' '.join(said)}")
    return dataclasses.replace(config, **values), notes


def settings(config: BuildConfig, sentences: Sentences | None) -> Mapping[str, Any]:
    """Return what a version keeps of a settled config, for the build after. sentences: as chosen."""
    kept = {name: getattr(config, name) for name in DEFAULTS}
    kept[TEXT_ENCODER] = kept_choice(sentences)
    if sentences is None:
        # A version without is as it was before there were any.
        del kept[TEXT_ENCODER]
    return kept | {"videos": _relative(config.collection, config.videos) if config.videos else None}


def _relative(collection: Path, path: Path) -> str:
    path, home = path.resolve(), collection.resolve()
    return str(path.relative_to(home) if path.is_relative_to(home) else path)


def check_videos(config: BuildConfig, served: Before, ids: Set[str], wanted: list[str] | None) -> None:
    """Refuse (InvalidInput) to take videos out of service that nobody asked to leave out.

    ids: of the new version, former ones included. wanted: those that a corpus file names, None for all.
    """
    lost = served.ids - ids
    if wanted is not None:
        lost &= set(wanted)
    if not lost or config.allow_fewer or not config.activate:
        return
    some = ", ".join(sorted(lost)[:3]) + (", ..." if len(lost) > 3 else "")
    raise InvalidInput(
        f"{len(lost)} of the {len(served.ids)} videos that are served would be gone ({some}): ingest them "
        "with this encoder first, or say --allow-fewer."
    )


def bring_back(config: BuildConfig, served: Before, store: FeatureStore, known: Set[str]) -> list[str]:
    """Put videos back into the store whose deletion was rolled back, as they are served; return a note of it.

    known: ids that the store's videos have or had.
    """
    lost = served.ids - known
    if not lost or config.allow_fewer:
        return []
    with FeatureStore.open(store.path, "a") as writing:
        found = recall(writing, lost)
    store.refresh()
    return [f"{len(found)} deleted videos are served again, and indexed"] if found else []


def take_model(
    config: BuildConfig, served: Before, kind: str, store: FeatureStore, notes: list[str]
) -> ModelEntry | None:
    """Return the projector or ranker to build with; a note says why there is none.

    Mismatch where the version before has one, InvalidInput for a projector where clips are indexed.
    """
    reasons: list[str] = []
    choice, clips = getattr(config, kind), f"{store.path} is indexed by its clips"
    if kind == "projector" and CLIPS in store.streams:
        if choice not in (None, "none"):
            raise InvalidInput(f"--projector {choice} reads frames, and {clips}: leave it out.")
        check_model(config, served, kind, False, clips)
        return None
    entry = choose_model(config.collection, kind, choice, encoder_of(store), reasons.append)
    for why in reasons:
        check_model(config, served, kind, entry is not None, why)
        if "holds no" not in why:
            notes.append(f"{why}: built without a {kind}")
    return entry


def check_model(config: BuildConfig, served: Before, kind: str, found: bool, why: str) -> None:
    """Refuse (Mismatch) to go on without a model that the version before has, unless "none" was said."""
    had = getattr(served.about, kind) if served.about is not None else None
    if had is None or found or getattr(config, kind) == "none" or not config.activate:
        return
    raise Mismatch(
        f"the version before has {kind} {had.fingerprint} and this one would have none ({why}): "
        f"name one with --{kind}, or say --{kind} none."
    )
