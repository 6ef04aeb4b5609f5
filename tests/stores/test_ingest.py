"""Videos behind URLs are ingested as files are."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.errors import InvalidInput
from tests.stores.server import Store, s3
from tests.stores.web import web
from tests.trainer.ingest.factories import regular, write_video
from tests.trainer.ingest.levels import OPTIONS, run
from tests.trainer.ingest.levels import store as stored
from trainer.ingest import remote
from trainer.ingest.options import IngestOptions
from workers.feature_store.store import FeatureStore

IN_PROCESSES = replace(OPTIONS, apart=True, readers=1)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    write_video(folder / "long.mp4", regular(7.5, 10))
    write_video(folder / "short.mkv", regular(1, 10), size=(48, 64))
    write_video(folder / "sub" / "tape.ts", regular(2, 10))
    (folder / "long.srt").write_text("1\n00:00:02,000 --> 00:00:03,500\nhello\n")
    (folder / "long.json").write_text('{"labels": ["talk"]}')
    (folder / "sub" / "readme.txt").write_text("no video")
    (folder / ".hidden.mp4").write_bytes(b"x")
    return folder


def upload(videos: Path, store: Store) -> Path:
    """Put a folder into a new bucket; return its URL, as the command line has it."""
    url = f"s3://{store.bucket()}/archive"
    s3().put(f"{videos}/", url, recursive=True)
    return Path(url)


def same(one: FeatureStore, other: FeatureStore) -> None:
    assert one.ids() == other.ids()
    for video in one.ids():
        first, second = one.record(video), other.record(video)
        assert (first.sha256, first.duration) == (second.sha256, second.duration)
        for name in ("labels", "codec", "decoded_frames", "sidecar_sha256", "texts"):
            assert first.info.get(name) == second.info.get(name)
        for stream in ("frames", "subtitles"):
            np.testing.assert_array_equal(one.rows(video, stream), other.rows(video, stream))


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(OPTIONS, id="in threads"),
        pytest.param(IN_PROCESSES, id="in processes", marks=pytest.mark.nightly),
    ],
)
def test_a_prefix_gives_what_its_files_give(
    videos: Path, store: Store, tmp_path: Path, options: IngestOptions
) -> None:
    given = upload(videos, store)
    assert run(tmp_path / "here", videos, options=options).ingested == 3
    summary = run(tmp_path / "there", given, options=options)
    assert (summary.ingested, summary.failed, summary.warnings) == (3, [], [])
    there = stored(tmp_path / "there")
    same(stored(tmp_path / "here"), there)
    url = f"s3://{'/'.join(given.parts[1:])}"
    assert [there.record(video).uri for video in there.ids()] == [
        f"{url}/long.mp4",
        f"{url}/short.mkv",
        f"{url}/sub/tape.ts",
    ]
    again = run(tmp_path / "there", given, options=options)
    assert (again.ingested, again.skipped, again.gone) == (0, 3, [])


def test_what_is_renamed_changed_or_gone_in_a_store_is_known(
    videos: Path, store: Store, tmp_path: Path
) -> None:
    given, files = upload(videos, store), s3()
    run(tmp_path, given)
    url = f"s3://{'/'.join(given.parts[1:])}"
    files.mv(f"{url}/short.mkv", f"{url}/renamed.mkv")
    files.rm(f"{url}/sub/tape.ts")
    write_video(videos / "long.mp4", regular(3, 10))
    files.put_file(str(videos / "long.mp4"), f"{url}/long.mp4")
    summary = run(tmp_path, given)
    assert (summary.ingested, summary.moved, summary.gone) == (
        1,
        [{"before": "short", "now": "renamed"}],
        ["tape"],
    )
    assert stored(tmp_path).record("renamed").uri == f"{url}/renamed.mkv"
    # One file alone has what lies beside it, too.
    alone = run(tmp_path / "alone", given / "long.mp4")
    assert (alone.ingested, stored(tmp_path / "alone").record("long").info["sidecar"]["name"]) == (
        1,
        "long.srt",
    )


def test_a_store_that_is_away_is_a_sentence(videos: Path, store: Store, tmp_path: Path) -> None:
    given = upload(videos, store)
    with store.away():
        summary = run(tmp_path, given)
    (failure,) = summary.failed
    assert (failure.path, failure.kind) == (f"s3://{'/'.join(given.parts[1:])}", "unreadable")
    assert failure.reason.startswith("it cannot be read: its server does not give it (")
    assert "hush" not in str(summary.as_json())
    assert run(tmp_path, given).ingested == 3


def test_a_web_server_gives_what_its_files_give(videos: Path, tmp_path: Path) -> None:
    run(tmp_path / "here", videos / "short.mkv", videos / "sub" / "tape.ts")
    (videos / "sub" / "tape.ts").rename(videos / "tape.ts")
    with web(videos) as address:
        names = [Path(f"{address}/good/{name}") for name in ("short.mkv", "tape.ts")]
        assert run(tmp_path / "there", *names).failed == []
        assert run(tmp_path / "there", *names).skipped == 2
        same(stored(tmp_path / "here"), stored(tmp_path / "there"))
        assert stored(tmp_path / "there").record("short").uri == f"{address}/good/short.mkv"


def test_what_lies_beside_a_video_of_a_web_server_is_asked_for(videos: Path, tmp_path: Path) -> None:
    (videos / "short.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:01.000\nbye\n")
    run(tmp_path / "here", videos / "long.mp4", videos / "short.mkv")
    with web(videos) as address:
        for kind in ("good", "polite"):
            asked = [Path(f"{address}/{kind}/{name}") for name in ("long.mp4", "short.mkv")]
            summary = run(tmp_path / kind, *asked)
            assert (summary.failed, summary.warnings) == ([], [])
            same(stored(tmp_path / "here"), stored(tmp_path / kind))
            assert stored(tmp_path / kind).record("long").info["labels"] == ["talk"]
            assert stored(tmp_path / kind).record("short").info["sidecar"]["name"] == "short.vtt"


@pytest.mark.parametrize("kept", [True, False])
def test_what_fits_on_the_disk_comes_once_from_a_web_server(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    sent, size = Counter[str](), 6 << 20
    with (videos / "long.mp4").open("ab") as file:
        # A box that players pass over, across two blocks of what is asked for.
        rest = size - file.tell()
        file.write(rest.to_bytes(4, "big") + b"free" + bytes(rest - 8))
    if not kept:
        monkeypatch.setattr(remote, "KEPT", size - 1)
    run(tmp_path / "here", videos / "long.mp4")
    with web(videos, sent) as address:
        assert run(tmp_path / "there", Path(f"{address}/good/long.mp4")).failed == []
    same(stored(tmp_path / "here"), stored(tmp_path / "there"))
    # Once, and both ends for the name of its pictures.
    assert sent["long.mp4"] < size + (1 << 19) or not kept


def test_a_bad_answer_is_one_sentence_a_file_and_the_rest_goes_on(videos: Path, tmp_path: Path) -> None:
    with web(videos) as address:
        kinds = ("short", "secret", "whole", "good")
        asked = [Path(f"{address}/{kind}/long.mp4") for kind in kinds] + [Path(f"{address}/good/none.mp4")]
        summary = run(tmp_path, *asked)
        told = {failure.path.removeprefix(address): failure.reason for failure in summary.failed}
        assert told.pop("/short/long.mp4").startswith("it cannot be read: its server ")
        assert told == {
            "/secret/long.mp4": "it cannot be read: its server answers 403 Forbidden",
            "/whole/long.mp4": "it cannot be read: its server gives no parts of files (Accept-Ranges); "
            "fetch it first",
            "/good/none.mp4": "it cannot be read: No such file or directory",
        }
        assert (summary.ingested, stored(tmp_path).record("long").uri) == (1, f"{address}/good/long.mp4")


def test_what_comes_from_elsewhere_opens_no_file_here(videos: Path, tmp_path: Path) -> None:
    (secret := videos / "secret").mkdir()
    write_video(secret / "tape.ts", regular(2, 10))
    lines = [
        "#EXTM3U",
        "#EXT-X-TARGETDURATION:2",
        "#EXTINF:2.0,",
        (secret / "tape.ts").as_uri(),
        "#EXT-X-ENDLIST",
    ]
    (videos / "list.m3u8").write_text("\n".join(lines) + "\n")
    assert run(tmp_path / "here", videos / "list.m3u8").ingested == 1
    with web(videos) as address:
        summary = run(tmp_path / "there", Path(f"{address}/good/list.m3u8"))
    assert (summary.ingested, [failure.kind for failure in summary.failed]) == (0, ["not-a-video"])


@pytest.mark.parametrize("url", ["https://me:hush@host/a.mp4", "https://host/a.mp4?X-Amz-Signature=hush"])
def test_a_url_with_a_secret_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(InvalidInput, match="may hold no name, password or query") as told:
        run(tmp_path, Path(url))
    assert "hush" not in str(told.value)
