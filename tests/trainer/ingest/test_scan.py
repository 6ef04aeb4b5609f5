"""Which files are taken, and what they are called."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from trainer.ingest.naming import local_path, name_videos, whereabouts
from trainer.ingest.scan import Files, VideoFile, find, survey


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def names(found: Sequence[VideoFile], root: Path) -> list[str]:
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


@pytest.mark.parametrize("odd", ["a", ".mp4", "..mp4", "x.", "x..", "é.mp4", "a\tb.mp4", "a.b..mp4", "..."])
def test_stems_of_many_are_those_of_each(odd: str) -> None:
    files = Files([f"/v/{name}" for name in ("a.mp4", "b.c.mkv", odd)], [Path("/v")])
    assert list(files.stems()) == [file.stem for file in files]


def test_typescript_is_no_transport_stream(tmp_path: Path) -> None:
    (tmp_path / "code.ts").write_text("export const a = 1;\n")
    (tmp_path / "video.ts").write_bytes(b"G" + bytes(187))
    assert names(find([tmp_path]), tmp_path) == ["video.ts"]


@pytest.mark.parametrize(("before", "after"), [(b"", bytes(187)), (b"", bytes(191)), (bytes(4), bytes(187))])
def test_transport_streams_of_any_packets_are_found(tmp_path: Path, before: bytes, after: bytes) -> None:
    packets = (before + b"G" + after) * 20
    for cut in (0, 1, 100):
        (tmp_path / f"from {cut}.ts").write_bytes(packets[cut:])
    (tmp_path / "code.ts").write_text("Great = 1;\n" * 400)
    assert len(find([tmp_path])) == 3


def test_what_looks_like_a_video_and_is_left_out_is_told(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4.part", "b.mkv.crdownload", "notes.txt", "photo.jpg", "go.mod", "elsewhere/e.mp4")
    (tmp_path / "camera").write_bytes(b"\0\0\0\x20ftypisom" + bytes(100))
    (tmp_path / "song").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    (tmp_path / "broken.ts").write_bytes(bytes(2000))
    (tmp_path / "code.ts").write_text("export const a = 1;\n")
    (tmp_path / "old.m1v").write_bytes(b"\0\0\x01\xb3")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    touch(tmp_path, "$RECYCLE.BIN/S-1-5/f.mp4", "#recycle/g.mp4", ".h.MOV.icloud", ".i.txt.icloud")
    told = {path.name: why for path, why in survey([tmp_path]).left_out}
    assert told == {
        "a.mp4.part": "its name is that of a download that is not complete",
        "b.mkv.crdownload": "its name is that of a download that is not complete",
        "camera": "it starts like a video, but its name does not end like one's; name it to take it",
        "broken.ts": "it is no transport stream, nor the text that .ts also stands for",
        "old.m1v": "files ending in .m1v are not looked for; name it to take it",
        "link": "links to folders are not followed; name it to take it",
        "$RECYCLE.BIN": "what is deleted lies there; name it to take it",
        "#recycle": "what is deleted lies there; name it to take it",
        ".h.MOV.icloud": "it is in iCloud and not here; download it",
    }
    assert survey([tmp_path, tmp_path / "camera", tmp_path / "link"]).left_out == [
        (tmp_path / name, why) for name, why in sorted(told.items()) if name not in ("camera", "link")
    ]


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("gate.h264", b"\0\0\0\1\x67\x42"),
        ("gate.264", b"\0\0\0\1\x09\xf0"),
        ("gate.hevc", b"\0\0\0\1\x40\1"),
        ("take.ivf", b"DKIF\0\0"),
        ("take.y4m", b"YUV4MPEG2 W64"),
        ("phone.3gpp", b"\0\0\0\x18ftyp3gp4"),
    ],
)
def test_kinds_of_video_that_few_programs_write_are_told(tmp_path: Path, name: str, head: bytes) -> None:
    (tmp_path / name).write_bytes(head + bytes(100))
    ((path, why),) = survey([tmp_path]).left_out
    assert path == tmp_path / name
    assert why.endswith("; name it to take it")


def test_pictures_that_move_are_found_and_stills_are_not(tmp_path: Path) -> None:
    (tmp_path / "a.avif").write_bytes(b"\0\0\0\x20ftypavis" + bytes(100))
    (tmp_path / "b.avif").write_bytes(b"\0\0\0\x20ftypavif" + bytes(100))
    (tmp_path / "c.webp").write_bytes(b"RIFF\0\0\0\0WEBPVP8X\n\0\0\0\x02" + bytes(100))
    (tmp_path / "d.webp").write_bytes(b"RIFF\0\0\0\0WEBPVP8X\n\0\0\0\x10" + bytes(100))
    (tmp_path / "e.apng").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(25) + b"\0\0\0\x08acTL" + bytes(100))
    (tmp_path / "f.apng").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(25) + b"IDAT" + bytes(100))
    told = survey([tmp_path])
    assert (names(told.found, tmp_path), told.left_out) == (["a.avif", "c.webp", "e.apng"], [])


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    touch(tmp_path, "b/c.mp4")
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    assert names(find([tmp_path]), tmp_path) == ["b/c.mp4"]


def ids(root: Path, known: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    named, clashes = name_videos(find([root]), known)
    return (
        {video: file.path.relative_to(root).as_posix() for video, file in named.items()},
        [f"{file.path.name} {other}" for file, other in clashes],
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
    assert list(name_videos(find([tmp_path / "b"]), known)[0]) == ["b/x"]


def test_a_file_of_a_name_that_is_only_away_gets_another(tmp_path: Path) -> None:
    """Same name and other place: only its content could tell that it is the same."""
    touch(tmp_path, "new/x.mp4")
    away = (tmp_path / "old/x.mp4").as_uri()
    assert ids(tmp_path, {"x": away}) == ({"new/x": "new/x.mp4"}, [])
    named, clashes = name_videos(find([tmp_path / "new" / "x.mp4"]), {"x": away})
    assert (list(named), clashes) == (["new/x"], [])
    named, clashes = name_videos(find([tmp_path / "new"]), {"x": away, "new/x": away})
    assert (list(named), clashes) == ([f"{tmp_path.name}/new/x"], [])


def test_two_files_of_one_name_in_one_folder_clash(tmp_path: Path) -> None:
    touch(tmp_path, "x.mp4", "x.webm", "y.mp4")
    assert ids(tmp_path, {}) == ({"x": "x.mp4", "y": "y.mp4"}, [f"x.webm {tmp_path / 'x.mp4'}"])
    known = {"x": (tmp_path / "x.mp4").as_uri()}
    named, clashes = name_videos(find([tmp_path / "x.webm"]), known)
    assert (named, [other for _, other in clashes]) == ({}, [str(tmp_path / "x.mp4")])
    (tmp_path / "x.mp4").unlink()
    assert list(name_videos(find([tmp_path / "x.webm"]), known)[0]) == [f"{tmp_path.name}/x"]


def test_an_id_shows_no_control_characters_and_leads_nowhere(tmp_path: Path) -> None:
    touch(tmp_path, "two\nlines.mp4", "esc\x1b[31mred.mp4", "Cooking pasta [dQw4w9WgXcQ].mp4")
    assert list(ids(tmp_path, {})[0]) == [
        "Cooking pasta [dQw4w9WgXcQ]",
        r"esc\x1b[31mred",
        r"two\nlines",
    ]
    touch(tmp_path, "...mp4")
    assert name_videos(find([tmp_path / "...mp4"]), {})[0] == {}


def test_folders_that_cannot_be_listed_are_named_and_the_rest_is_found(
    tmp_path: Path, plain_user: None
) -> None:
    touch(tmp_path, "a.mp4", "locked/b.mp4", "c/d.mp4")
    (tmp_path / "locked").chmod(0)
    told = survey([tmp_path])
    assert names(told.found, tmp_path) == ["a.mp4", "c/d.mp4"]
    assert told.unreadable == [(tmp_path / "locked", "it cannot be read: Permission denied")]
    assert names(find([tmp_path / "locked" / "b.mp4"]), tmp_path) == ["locked/b.mp4"]
    assert whereabouts(tmp_path / "locked" / "b.mp4") == "hidden"
    (tmp_path / "locked").chmod(0o700)


def test_whereabouts(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    assert whereabouts(tmp_path / "a.mp4") == whereabouts(None) == "there"
    assert whereabouts(tmp_path / "b.mp4") == "gone"
    (tmp_path / "c.mp4").mkdir()
    assert whereabouts(tmp_path / "c.mp4") == "gone"
    assert whereabouts(tmp_path / "drive" / "b.mp4") == "away"


@pytest.mark.parametrize("name", [" .mp4", "\u200b.mp4", "\u2060\u00a0.mkv"])
def test_a_name_of_which_nothing_is_seen_is_no_id(tmp_path: Path, name: str) -> None:
    touch(tmp_path / "videos", name)
    (named,) = name_videos(find([tmp_path / "videos"]), {})[0]
    assert named.startswith("videos/")


def test_names_that_are_no_unicode(tmp_path: Path) -> None:
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4")).touch()
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    (found,) = find([tmp_path])
    assert found.stem == "caf\ufffd"
    assert local_path(found.path.as_uri()) == found.path
