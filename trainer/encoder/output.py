"""The directory of an encoder that is trained: a new one, or that of a model which it replaces."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from engine.errors import InvalidInput
from engine.folders import new_folder
from workers.ranker.stores.checkpoint import follow_umask


@contextlib.contextmanager
def new_directory(out: Path, force: bool) -> Iterator[Path]:
    """Yield a temporary directory beside `out` that takes its name on success and is removed on failure.

    An `out` that exists is refused with InvalidInput, or with `force` replaced at the very end.
    """
    if out.exists() and not force:
        raise InvalidInput(f"{out} exists already; give --force to replace it, or another --out.")
    if out.exists() and not (out / "config.json").is_file() and any(out.iterdir()):
        raise InvalidInput(f"{out} is not a model's directory; --force replaces models only.")
    with new_folder(out, replace=True) as partial:
        yield partial
        for path in partial.rglob("*.safetensors"):
            follow_umask(path)
