"""Which files are taken, and what they are called."""

import os
from pathlib import Path

import pytest

from trainer.ingest.naming import local_path, name_videos
from trainer.ingest.scan import Found, find


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def names(found: list[Found], root: Path) -> list[str]:
    return [file.path.relative_to(root).as_posix() for file in found]


def test_directories_give_videos_and_files_are_taken_as_they_are(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "a.MP4",
        "b/c.webm",
        "b/c.srt",
        "notes.txt",
        ".hidden.mp4",
        ".trash/d.mp4",
        "b/._c.mp4",
        "x.bin",
    )
    assert names(find([tmp_path]), tmp_path) == ["a.MP4", "b/c.webm"]
    assert names(find([tmp_path / "x.bin", tmp_path, tmp_path / "a.MP4"]), tmp_path) == [
        "a.MP4",
        "b/c.webm",
        "x.bin",
    ]
    assert names(find([tmp_path / "gone.mp4"]), tmp_path) == ["gone.mp4"]


def test_typescript_is_no_transport_stream(tmp_path: Path) -> None:
    (tmp_path / "code.ts").write_text("export const a = 1;\n")
    (tmp_path / "video.ts").write_bytes(b"G" + bytes(187))
    assert names(find([tmp_path]), tmp_path) == ["video.ts"]


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    touch(tmp_path, "b/c.mp4")
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    assert names(find([tmp_path]), tmp_path) == ["b/c.mp4"]


def ids(root: Path, known: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    named, clashes = name_videos(find([root]), known)
    return (
        {video: file.path.relative_to(root).as_posix() for video, file in named.items()},
        [str(error) for _, error in clashes],
    )


def test_a_video_is_called_by_its_stem_or_its_path(tmp_path: Path) -> None:
    touch(tmp_path, "one.mp4", "a/two.mp4", "a/x.mp4", "b/x.mp4")
    assert ids(tmp_path, {}) == (
        {"one": "one.mp4", "two": "a/two.mp4", "a/x": "a/x.mp4", "b/x": "b/x.mp4"},
        [],
    )


def test_ids_stay_when_files_of_the_same_name_come(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.mp4")
    first, _ = ids(tmp_path, {})
    assert first == {"x": "a/x.mp4"}
    known = {video: (tmp_path / path).as_uri() for video, path in first.items()}
    touch(tmp_path, "b/x.mp4")
    assert ids(tmp_path, known) == ({"x": "a/x.mp4", "b/x": "b/x.mp4"}, [])
    assert name_videos(find([tmp_path / "b"]), known)[0] == {}


def test_a_file_that_moved_keeps_its_id(tmp_path: Path) -> None:
    touch(tmp_path, "new/x.mp4")
    assert ids(tmp_path, {"x": (tmp_path / "old/x.mp4").as_uri()}) == ({"x": "new/x.mp4"}, [])


def test_a_clash_is_told_with_its_remedy(tmp_path: Path) -> None:
    touch(tmp_path, "x.mp4", "x.webm", "y.mp4")
    named, clashes = ids(tmp_path, {})
    assert named == {"x": "x.mp4", "y": "y.mp4"}
    assert clashes == [f"its id 'x' belongs to {tmp_path / 'x.mp4'}; rename it"]
    known = {"y": "https://example.org/y.mp4"}
    assert ids(tmp_path, known)[1][-1] == "its id 'y' belongs to https://example.org/y.mp4; rename it"


def test_names_that_are_no_unicode(tmp_path: Path) -> None:
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4")).touch()
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    (found,) = find([tmp_path])
    assert found.stem == "caf\ufffd"
    assert local_path(found.path.as_uri()) == found.path
