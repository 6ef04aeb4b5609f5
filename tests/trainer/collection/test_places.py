"""Where a collection keeps what training reads and makes."""

import os
from pathlib import Path

import pytest

from engine.errors import InvalidInput, Mismatch, NotFound
from tests.trainer.ranker.world import DIM, ENCODER, make_collection
from trainer.collection.places import describe_collection
from trainer.collection.projectors import open_projector
from workers.ranker.projection.projector import MeanPool, Projector, ProjectorConfig
from workers.ranker.stores.checkpoint import save_model


def test_the_projector_must_fit_the_encoder(tmp_path: Path) -> None:
    collection = make_collection(tmp_path / "collection", train=2, val=1)
    assert isinstance(open_projector(collection, None, ENCODER), MeanPool)
    assert isinstance(open_projector(collection, "none", ENCODER), MeanPool)
    with pytest.raises(NotFound):
        open_projector(collection, "0000", ENCODER)
    config = ProjectorConfig(dim=DIM, type="meanP")
    directory = collection / "models" / "projector" / "abcd"
    save_model(directory, "projector", config, Projector(config).state_dict(), encoder="another")
    with pytest.raises(Mismatch, match="made for encoder another"):
        open_projector(collection, "abcd", ENCODER)
    save_model(directory, "projector", config, Projector(config).state_dict(), encoder=ENCODER)
    assert isinstance(open_projector(collection, "abcd", ENCODER), Projector)


@pytest.mark.parametrize(
    ("directory", "name"),
    [
        (b"holidays", "holidays"),
        (b"two\nlines", r"two\nlines"),
        (b"u\xcc\x88ber", "\u00fcber"),
        (b"x" * 200, "x" * 80),
    ],
)
def test_a_collections_first_name_can_be_typed(tmp_path: Path, directory: bytes, name: str) -> None:
    collection = tmp_path / os.fsdecode(directory)
    collection.mkdir()
    assert describe_collection(collection) == name
    assert describe_collection(collection, name) == name


def test_a_directory_that_is_not_unicode_is_refused(tmp_path: Path) -> None:
    collection = tmp_path / os.fsdecode(b"bad\xffname")
    with pytest.raises(InvalidInput, match=r"bad\\udcffname is not UTF-8; name another directory"):
        describe_collection(collection)
