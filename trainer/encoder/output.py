"""A new directory that is whole or absent."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from engine.errors import InvalidInput
from engine.files import make_folder, sync
from engine.partials import partial_of, partials_of, remove_abandoned
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
    make_folder(out.parent)
    beside = out.with_name(f"old-{out.name}")
    remove_abandoned([*partials_of(out), *partials_of(beside)])
    partial, old = partial_of(out), partial_of(beside)
    partial.mkdir()
    try:
        yield partial
        for path in sorted(partial.rglob("*")):
            if path.suffix == ".safetensors":
                follow_umask(path)
            sync(path)
        if out.exists():
            out.rename(old)
        partial.rename(out)
        sync(out.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
