"""Pictures, clips and names as a user gives them: on the command line and in Python."""

import json
from pathlib import Path

import numpy as np
import pytest

from engine import names
from engine.corpus import open_corpus
from engine.names import Names
from spr_cli.example_options import SPANNED, Spanned, shown
from spr_client import Clip, InvalidInput, Options, Part
from spr_client.translate import request_to_pb
from tests import numeric
from tests.clients.test_library_commands import spr
from tests.trainer.ingest.factories import regular, write_video
from tests.workers.ranker.factories import tiny_collection
from tests.workers.test_pictures import file_of, noise


@pytest.mark.parametrize(
    ("given", "parsed"),
    [
        ("talk", Spanned("talk")),
        ("talk@12-20", Spanned("talk", 12.0, 20.0)),
        ("a/b@c.mp4@1:30-", Spanned("a/b@c.mp4", 90.0, None)),
        ("talk@14", Spanned("talk", 14.0, 15.0)),
        ("me@home", Spanned("me@home")),
    ],
)
def test_a_span_is_read_off_a_name(given: str, parsed: Spanned) -> None:
    assert SPANNED.convert(given, None, None) == parsed


def test_options_make_a_query(tmp_path: Path) -> None:
    picture = tmp_path / "ball.png"
    picture.write_bytes(file_of(noise()))
    film = write_video(tmp_path / "film.mp4", regular(6.0, 10), size=(96, 64))
    given = {
        "images": (picture,),
        "like": (Spanned("talk", 4.0, 8.0),),
        "clips": (Spanned(str(film), 1.0, 4.0),),
        "example_weight": 0.5,
    }
    part = shown("it bounces", given)
    assert isinstance(part, Part)
    assert not given
    assert (part.text, part.like, part.weight) == ("it bounces", [Clip("talk", 4.0, 8.0)], 0.5)
    # A frame a second.
    assert len(part.images) == 4
    message = request_to_pb(part, Options()).composed.parts[0]
    assert [one.WhichOneof("source") for one in message.examples] == [*4 * ["image"], "clip"]
    assert message.examples[0].image == picture.read_bytes()
    assert message.examples[4].clip.span.end_offset.seconds == 8


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["search"], "Missing argument 'TEXT', or --image"),
        (["search", "--clip", "none.mp4"], "'none.mp4' is no file; --like takes"),
        (["search", "--like", "talk@20-12"], "ends before it begins"),
        (["search", "a", "--example-weight", "0.5"], "give --image, --like or --clip"),
        (["search", "--image", "/dev/zero"], "/dev/zero: it has more than 64 MiB"),
    ],
)
def test_options_that_show_nothing_are_refused(arguments: list[str], words: str) -> None:
    assert words in spr(*arguments, code=2).stderr


@pytest.mark.parametrize(
    "part",
    [
        Part(images=["/none.jpg"]),
        Part(images=["/dev/zero"]),
        Part(images=b"bytes"),  # type: ignore[arg-type]
        Part(like=["talk"]),  # type: ignore[list-item]
        Part(like=[Clip("talk", -1.0)]),
        Part(names=[3]),  # type: ignore[list-item]
        Part(3),  # type: ignore[arg-type]
    ],
    ids=["no file", "no end", "no list", "no clip", "no time", "no name", "no text"],
)
def test_a_part_that_cannot_be_sent_is_refused(part: Part) -> None:
    with pytest.raises(InvalidInput) as caught:
        request_to_pb(part, Options())
    assert caught.value.reason == "BAD_PARAMETER"


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"\xff\xfe", "is not UTF-8 text"), (b"\xef\xbb\xbf \n", "holds no secret; write one")],
)
def test_a_file_without_a_secret_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(data)
    hook = ["--webhook", "http://127.0.0.1:9/", "--secret-file", secret]
    assert words in spr("admin", "watch", "a ball", *hook, code=2).stderr


def test_names_are_given_listed_and_removed(tmp_path: Path) -> None:
    made = tiny_collection(tmp_path / "c", trained=False)
    picture = tmp_path / "anna.png"
    picture.write_bytes(file_of(noise()))
    where = ("--collection", made.directory)
    told = json.loads(spr("corpus", "name", "@Anna", picture, "a@14", *where, "--json").stdout)
    assert told == {"name": "anna", "pictures": 2}
    version = open_corpus(made.directory).version
    served = Names(made.directory)
    anna = served.frame("anna", version)
    spr("corpus", "name", "@rex", "a@14", *where)
    # A running service reads the file again; one frame stands for itself.
    np.testing.assert_array_equal(served.frame("@rex", version).row, served.frame("rex", version).row)
    stored = np.asarray(made.store.rows("a", "frames")[14], np.float32)
    numeric.close(served.frame("rex", version).row, stored)
    listed = json.loads(spr("corpus", "names", *where, "--json").stdout)["names"]
    assert [(one["name"], one["pictures"], one["usable"]) for one in listed] == [
        ("anna", 2, True),
        ("rex", 1, True),
    ]
    spr("corpus", "names", "--remove", "@anna", *where)
    assert list(names.read(made.directory).names) == ["rex"]
    assert "it has @rex" in spr("corpus", "names", "--remove", "@anna", *where, code=2).stderr
    assert "no frame at 400 s" in spr("corpus", "name", "@x", "a@400", *where, code=2).stderr
    assert "is no name" in spr("corpus", "name", "@4", picture, *where, code=2).stderr
    assert anna.row.shape == stored.shape


def test_a_damaged_file_of_names_is_refused_by_name(tmp_path: Path) -> None:
    tiny_collection(tmp_path / "c", trained=False)
    (tmp_path / "c" / names.FILE).write_text('{"format": 3, "names": {}, "sha256": "0"}')
    assert (
        "names.json does not have the checksum"
        in spr("corpus", "names", "--collection", tmp_path / "c", code=3).stderr
    )
