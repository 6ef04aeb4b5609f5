"""When matches are sent to webhooks: after a clock that jumped, and where that they were cannot be noted."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.errors import SprError
from spr.v1.standing_service_pb2 import Match, StandingSearch
from tests.trainer.library.tiny import write_part, write_version
from trainer.library.standing import deliveries, hooks
from trainer.library.standing.posting import Hosts
from trainer.library.standing.rows import Delivery
from trainer.library.standing.store import Store


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Store]:
    """A search with a webhook, and a match of it."""
    write_version(tmp_path, [write_part(tmp_path, ["a"])])
    with closing(Store(tmp_path, "c")) as found:
        asked = StandingSearch(id="hooked", collection="c", text="a ball", webhook="http://127.0.0.1:9/hook")
        search = found.create(asked, b"", existing=True)
        batch = found.next_batch(search)
        assert batch is not None
        found.judged(search, batch, [Match(standing_search_id="hooked", video_id="a")])
        yield found


class AtOnce:
    """A pool of no thread."""

    def submit(self, call: Callable[..., None], *arguments: object) -> None:
        call(*arguments)


@pytest.mark.parametrize("jump", [-3 * 24 * 3600.0, 3 * 24 * 3600.0])
def test_a_clock_that_jumps_keeps_no_match_back(
    kept: Store, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    deliveries.refused(kept, deliveries.due(kept, (), 4)[0])
    assert deliveries.due(kept, (), 4) == []
    monkeypatch.setattr(time, "time", lambda: now + jump)
    assert [one.match.video_id for one in deliveries.due(kept, (), 4)] == ["a"]


@pytest.mark.parametrize("said", ["", "answers 500"])
def test_what_cannot_be_noted_is_not_sent_again_at_once(
    kept: Store, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    posts: list[int] = []

    def full(*_: object) -> None:
        raise SprError("standing.sqlite cannot be written: make room.", "DISK_FULL")

    def post(delivery: Delivery, *_: object) -> str:
        posts.append(delivery.match.number)
        return said

    monkeypatch.setattr(hooks, "post", post)
    sending = hooks.Hooks([kept], Hosts(None))
    sending._pool = AtOnce()  # type: ignore[assignment]
    (search,) = kept.searches()
    with monkeypatch.context() as disk:
        disk.setattr(deliveries, "sent" if not said else "refused", full)
        for _ in range(3):
            sending._begin(kept)
        assert posts == [1]
        assert "make room" in sending.fault(kept, search)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + hooks.UNNOTED)
    sending._begin(kept)
    assert posts == [1, 1]
    assert sending.fault(kept, search) == (f"the webhook {said}" if said else "")


def test_an_error_that_nobody_thought_of_does_not_end_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "LOOK", 0.0)
    sending = hooks.Hooks([SimpleNamespace()], Hosts(None))  # type: ignore[list-item]
    begun: list[Store] = []

    def begin(store: Store) -> None:
        begun.append(store)
        if len(begun) == 1:
            raise ValueError("nobody thought of this")
        sending.stop(0)

    monkeypatch.setattr(sending, "_begin", begin)
    sending._run()
    assert len(begun) == 2


def test_what_no_sender_expects_holds_its_own_search_back_alone(
    kept: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def post(*_: object) -> str:
        raise ValueError("nobody thought of this")

    monkeypatch.setattr(hooks, "post", post)
    sending = hooks.Hooks([kept], Hosts(None))
    sending._pool = AtOnce()  # type: ignore[assignment]
    sending._begin(kept)
    assert "nobody thought of this" in sending.fault(kept, kept.searches()[0])
    assert not sending._busy
