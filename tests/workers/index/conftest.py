from pathlib import Path

import pytest

from tests.workers.index.asking import VIDEOS
from tests.workers.index.corpora import commit, rows_of, write_part
from tests.workers.index.factories import template
from tests.workers.index.spoken import Spoken


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of two shards, the first of two parts, with texts, in the folder `collection`."""
    folder = tmp_path_factory.mktemp("index")
    trained = template(rows_of(VIDEOS)[0], "IVF8,Flat")
    names = list(VIDEOS)
    shares = [names[:10], names[10:14], names[14:]]
    texts = Spoken(VIDEOS, 16)
    texts.save(folder / "collection")
    entries = [
        write_part(folder / "collection", {name: VIDEOS[name] for name in share}, trained, trained, texts)
        for share in shares
    ]
    commit(folder / "collection", [entries[:2], entries[2:]], trained, dim=16, texts=texts.entry)
    return folder
