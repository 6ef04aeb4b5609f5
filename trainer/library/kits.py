"""The models and stores that the writer keeps open from one job to the next."""

from pathlib import Path

from engine import versions
from engine.corpus import Corpus
from engine.entries import EncoderEntry
from engine.errors import Mismatch
from trainer.collection.encoders import clip_encoder_source, encoder_source
from trainer.collection.places import features_directory
from trainer.generation.kit import SAID, Kit, open_kit
from workers.ranker.encoder.encoder import Encoder


class Kits:
    """What parts are made with, opened once for as long as a collection's versions need the same.

    device: "auto", "cpu" or "cuda". threads: that an ingest takes, 0 for one a core.
    """

    def __init__(self, device: str = "auto", threads: int = 0) -> None:
        self._device, self.threads = device, threads
        self._kits: dict[Path, tuple[object, Kit]] = {}
        self._encoders: dict[tuple[Path, bool], Encoder] = {}

    def of(self, corpus: Corpus) -> Kit:
        """Return what the next part of a version is made with; its store is up to date."""
        key = _models(corpus)
        known, kit = self._kits.get(corpus.directory, (None, None))
        if kit is None or known != key:
            kit = open_kit(corpus.directory, corpus.version, self._device)
            self._kits[corpus.directory] = (key, kit)
        kit.store.refresh()
        return kit

    def encoder(self, corpus: Corpus) -> Encoder:
        """Return the encoder of a version's features; Mismatch where it is another by now."""
        return self._held(corpus, corpus.version.encoder, clips=False)

    def clip_encoder(self, corpus: Corpus) -> Encoder | None:
        """Return the clip encoder beside it, None for a version without one."""
        entry = corpus.version.clip_encoder
        return None if entry is None else self._held(corpus, entry, clips=True)

    def _held(self, corpus: Corpus, entry: EncoderEntry, *, clips: bool) -> Encoder:
        known = {one.fingerprint: one for one in self._encoders.values()}
        # One a collection: that of a version before leaves the memory.
        found = known.get(entry.fingerprint) or self._load(corpus, entry.fingerprint, clips)
        self._encoders[corpus.directory, clips] = found
        return found

    def _load(self, corpus: Corpus, wanted: str, clips: bool) -> Encoder:
        source = (clip_encoder_source if clips else encoder_source)(self.of(corpus).store)
        loaded = Encoder.load(source, self._device, clips=clips)
        if loaded.fingerprint != wanted:
            raise Mismatch(
                f"{source} has fingerprint {loaded.fingerprint}, {corpus.id} was made with encoder "
                f"{wanted}: put that encoder back, or ingest with the new one and run `spr build`."
            )
        return loaded


def _models(corpus: Corpus) -> object:
    """Return what decides a kit: models, and that the store is the one it was."""
    version = corpus.version
    store = features_directory(corpus.directory, version.features) / "store.json"
    status = store.stat()
    said = [part.about.files[SAID].sha256 for part in corpus.parts[:1] if SAID in part.about.files]
    entries = [entry and (versions.model_path(corpus.directory, entry), entry.fingerprint) for entry in
               (version.encoder, version.clip_encoder, version.projector, version.ranker)]  # fmt: skip
    return (
        entries,
        version.segment_length,
        version.quantizer_sha256,
        version.contexts,
        version.factory,
        version.texts,
        said,
        (status.st_ino, status.st_mtime_ns),
    )
