"""What all parts of a version share beside models: files of quantizers/ named by their checksums."""

from pathlib import Path

from engine.entries import Version
from workers.index import lexicon, training
from workers.ranker.sentences import centre


def frozen_files(collection: Path, version: Version) -> list[Path]:
    """Return the trained, empty indexes of a version, its word statistics, its centre.

    The first may not be there where a migration could not read it: see `trainer.generation.migrate`.
    """
    found = [training.path_of(collection, version.quantizer_sha256)] if version.quantizer_sha256 else []
    if version.texts is not None:
        found.append(lexicon.path_of(collection, version.texts.lexicon_sha256))
        if version.texts.quantizer_sha256:
            found.append(training.path_of(collection, version.texts.quantizer_sha256))
        found += [collection / name for name in centre.files_of(version)]
    return found
