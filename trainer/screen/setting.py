"""Whether the screens of a collection's videos are read, from now on."""

from pathlib import Path

from engine.files import read_json, write_json
from trainer.collection.places import ABOUT, describe_collection

_KEY = "read_screen"


def reads_screens(collection: Path) -> bool:
    """Return what a collection's last ingest chose."""
    try:
        return read_json(collection / ABOUT, dict).get(_KEY) is True
    except FileNotFoundError:
        return False


def set_reading(collection: Path, wanted: bool) -> None:
    """Let all later ingests and adds of a collection read screens, or not."""
    describe_collection(collection)
    about = read_json(collection / ABOUT, dict)
    if about.get(_KEY, False) is not wanted:
        write_json(collection / ABOUT, {**about, _KEY: wanted})
