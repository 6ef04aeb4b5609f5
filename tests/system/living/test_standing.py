"""Standing searches in a running service: every added video is judged once, and each match told."""

import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import versions
from engine.corpus import open_corpus
from tests.forked import Supervisor
from tests.forked import spr as forked
from tests.system.living.crashing import kill
from tests.system.living.hook import SECRET, Receiver, receiving
from tests.system.living.living import Living, spr
from tests.system.living.models import trained
from tests.system.service import until
from tests.trainer.library.running import clip
from tests.workers.ranker.factories import TEXTS
from workers.ranker.scoring.fusion import Fusion, ScoreWeights

OF = ("--collection", "lectures")
# Every moment is 95 % sure.
SURE = Fusion(
    ScoreWeights(span_relevance=1.0),
    ScoreWeights(bias=3.0),
    confidence_threshold=0.5,
    alone=((0.9, 0.9),),
)


@pytest.fixture(scope="module")
def calibrated(living: Living) -> Path:
    """Give a collection a ranker with confidences; before, a standing search has nothing to judge by."""
    lectures = living.collections["lectures"]
    refused = living.admin("watch", TEXTS[0], *OF, code=3)
    assert refused["reason"] == "NO_CALIBRATION"
    assert "spr train ranker" in refused["error"]
    stage1, stage2 = trained(lectures, SURE)
    encoder = open_corpus(lectures).version.encoder.fingerprint
    spr(
        "build",
        lectures,
        "--encoder",
        encoder,
        "--projector",
        stage1,
        "--ranker",
        stage2,
        "--device",
        "cpu",
        "--json",
    )
    living.until_served(versions.current(lectures), "lectures")
    return lectures


def matches(living: Living, watch: str) -> Counter[str]:
    """Return how many matches each video has."""
    listed = living.admin("matches", *OF, "--watch", watch, "--limit", 1000)["matches"]
    assert all(one["confidence"] == pytest.approx(0.9526, abs=1e-3) for one in listed)
    places = [(one["video_id"], str(one["span"])) for one in listed]
    assert len(set(places)) == len(places)
    return Counter(video for video, _ in places)


def waiting(living: Living, watch: str) -> dict[str, int]:
    (one,) = [one for one in living.admin("watches", *OF)["standing_searches"] if one["id"] == watch]
    return {name: one[name] for name in ("videos_waiting", "deliveries_waiting")}


@contextlib.contextmanager
def following(living: Living, watch: str) -> Iterator[Supervisor]:
    command = ("admin", "matches", "--follow", "--after", "0", "--watch", watch, *OF, "--json")
    address = ("--address", living.service.ready["admin"])
    with forked(living.home / "following.log", *command, *address) as follower:
        yield follower
        follower.kill()


def number_of(follower: Supervisor) -> int:
    """Return the number of the next match that is followed."""
    return int(json.loads(follower.stdout.readline())["number"])


def sent(receiver: Receiver) -> list[int]:
    return [one["number"] for one in receiver.taken]


def test_what_is_added_is_judged_once_whatever_dies(living: Living, calibrated: Path, tmp_path: Path) -> None:
    (secret := tmp_path / "secret").write_text(SECRET)
    with contextlib.ExitStack() as stack:
        receiver = stack.enter_context(receiving())
        hooked = ("--webhook", receiver.url, "--secret-file", secret)
        living.admin("watch", TEXTS[0], *OF, "--id", "new", "--precision", 0.9, *hooked)
        living.admin("watch", TEXTS[1], *OF, "--id", "all", "--existing")
        kill(living, "library")
        there = set(open_corpus(calibrated).catalogue.ids)
        until(lambda: living.admin("watches", *OF, code=None).get("standing_searches"))
        until(lambda: waiting(living, "all")["videos_waiting"] == 0)
        assert (set(matches(living, "all")), set(matches(living, "new"))) == (there, set())
        follower = stack.enter_context(following(living, "all"))
        first = number_of(follower)
        living.admin("add", clip(living.home / "standing" / "fresh.mp4", 20.0), "--wait", *OF)
        until(lambda: receiver.tried)
        # Judged, and not delivered.
        assert set(matches(living, "new")) == {"fresh"}
        kill(living, "library")
        receiver.status = 200
        found = sum(matches_of(living, "new").values())
        until(lambda: len(receiver.taken) == found)
        until(lambda: waiting(living, "new") == {"videos_waiting": 0, "deliveries_waiting": 0})
        assert sent(receiver) == sorted(set(sent(receiver)))
        assert {one["video"] for one in receiver.taken} == {"fresh"}
        assert receiver.taken[0]["search"] == {"id": "new", "name": "", "text": TEXTS[0]}
        # Whoever follows was told of all over a restart.
        told = matches(living, "all")
        assert set(told) == {*there, "fresh"}
        numbers = [first, *(number_of(follower) for _ in range(told.total() - 1))]
        assert numbers == sorted(set(numbers))
    living.admin("unwatch", "all", *OF)
    assert living.admin("matches", *OF, "--watch", "all", code=2)["reason"] == "STANDING_SEARCH_NOT_FOUND"


def matches_of(living: Living, watch: str) -> Counter[str]:
    """Return the matches once the library is back."""
    until(lambda: living.admin("matches", *OF, code=None).get("matches"))
    return matches(living, watch)
