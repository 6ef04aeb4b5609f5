"""CURRENT and the version files of a place, as its mirror reads and copies them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from engine import mirror_room, versions
from engine.entries import refuse
from engine.errors import NotFound, SprError
from engine.files import replacing
from engine.places import Place

AT_ONCE = 8  # files that are copied
REMEDY = "copy it there again with `spr snapshot`"


def current(place: Place) -> str:
    """Return the id of the version that a place's CURRENT names; NotFound where it names none."""
    try:
        name = place.read(versions.CURRENT).decode().strip()
        versions.path_of(Path(), name)
    except FileNotFoundError:
        message = f"{place.name} holds no collection: copy one there with `spr snapshot`."
        raise NotFound(message, "GENERATION_NOT_FOUND") from None
    except (UnicodeDecodeError, NotFound):
        message = f"{place.name}/{versions.CURRENT} names no version: {REMEDY}."
        raise NotFound(message, "GENERATION_NOT_FOUND") from None
    return name


def named(place: Place, home: Path, version: str) -> str:
    """Return the id of a version by its id or number. Files that lack here, or are not what they were, come.

    NotFound where the place lacks it too, Mismatch where its file there is not the version.
    """
    if _is_good(home, version):
        return versions.read(home, version).id
    number = version.partition("-")[0]
    wanted = f"{versions.VERSIONS}/{int(number):08d}.json" if versions.NUMBER.fullmatch(number) else ""
    # Who holds a version locks its file: one that is good is never written again.
    with mirror_room.alone(home, "versions"):
        bad = wanted if not _is_good(home, version) else ""
        lacking = [
            name for name in place.sizes(versions.VERSIONS) if name == bad or not (home / name).exists()
        ]
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="mirror") as pool:
            list(pool.map(lambda name: _copy(place, home, name), lacking))
    try:
        return versions.read(home, version).id
    except NotFound as error:
        if wanted in lacking:
            raise refuse(f"{place.name}/{wanted} is not version {version}: {REMEDY}.") from None
        raise NotFound(str(error).replace(str(home), place.name), error.reason) from None
    except SprError:
        raise refuse(f"{place.name}/{wanted} is not version {version}: {REMEDY}.") from None


def write(path: Path, content: bytes) -> None:
    """Write a small file, whole or not at all."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def _is_good(home: Path, version: str) -> bool:
    try:
        return bool(versions.read(home, version))
    except SprError:
        return False


def _copy(place: Place, home: Path, name: str) -> None:
    write(home / name, place.read(name))
    if not _is_good(home, Path(name).stem):
        # It is tried again when it is asked for.
        (home / name).unlink()
