from pathlib import Path

import pytest

from tests.trainer.generation.built import collection
from trainer.generation.build import BuildConfig, build


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    build(BuildConfig(collection=collection(folder / "collection"), shards=2, index="IVF8,Flat", nprobe=8))
    return folder
