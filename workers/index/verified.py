"""The index files of a part, verified before they are opened."""

from pathlib import Path

from engine.corpus import PartOfVersion
from engine.errors import SprError
from engine.texts import TEXTS
from engine.verification import verify
from workers.index import originals
from workers.index.part import DIRECTORY, INDEX, ORIGINALS
from workers.index.words import MAPPED
from workers.watch import Watch

_ORIGINALS = f"{DIRECTORY}/{ORIGINALS}"
# The files of texts that are mapped, and not read.
_MAPPED = (INDEX, ORIGINALS, *(f"{name}.npy" for name in MAPPED))


def verified(part: PartOfVersion, healing: bool) -> tuple[Watch, list[str]]:
    """Verify a part's index files; return what watches them from before on, and the folders of lost codes.

    With `healing`, codes that have originals may be lost: of pictures, and of what is said and written.
    """
    texts = [name for channel in TEXTS for name in part.about.files_of(channel)]
    names = [*part.about.files_of(DIRECTORY), *texts]
    mapped = [name for name in texts if Path(name).name in _MAPPED]
    served = [name for name in names if name in (f"{DIRECTORY}/{INDEX}", _ORIGINALS)] + mapped
    # Hashing large ones takes longer than a start may; the watch begins with them.
    large = _ORIGINALS in names and part.about.files[_ORIGINALS].bytes > originals.LARGE
    late = [_ORIGINALS] if large and not healing else []
    try:
        watch = Watch(part.directory, part.about, served, late)
        verify(part.directory, part.about, names, late)
    except SprError:
        had = [folder for folder in (DIRECTORY, *TEXTS) if healing and f"{folder}/{ORIGINALS}" in names]
        lost = [folder for folder in had if not _sound(part, f"{folder}/{INDEX}")]
        if not lost:
            raise
        left = [name for name in names if name not in [f"{folder}/{INDEX}" for folder in lost]]
        watch = Watch(part.directory, part.about, [name for name in served if name in left])
        verify(part.directory, part.about, left)
        return watch, lost
    return watch, []


def _sound(part: PartOfVersion, name: str) -> bool:
    try:
        verify(part.directory, part.about, [name])
    except SprError:
        return False
    return True
