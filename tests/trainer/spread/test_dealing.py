"""Which worker gets which file: every file once, until its worker dies."""

import random
from collections import Counter

import pytest

from trainer.spread.dealing import ALONE, MOST, Dealer, Given


def files(count: int, *parts: int | None) -> list[Given]:
    return [Given(f"v{n}", f"/v/{n}.mp4", f"{n}", parts[n % len(parts)]) for n in range(count)]


@pytest.mark.parametrize("seed", range(8))
def test_every_file_has_its_turn_whoever_dies(seed: int) -> None:
    chance, shares = random.Random(seed), 3
    given = files(100, None, 0, None, 4)
    dealer, out, ended = (
        Dealer(given, len(given), shares),
        [set[str]() for _ in range(shares)],
        Counter[str](),
    )
    parts = {file.path: file.part for file in given}
    while not dealer.finished:
        share = chance.randrange(shares)
        for file in dealer.take(share, chance.randint(1, 8)):
            assert parts[file.path] is None or parts[file.path] % shares == share  # type: ignore[operator]
            assert all(file.path not in held for held in out)
            out[share].add(file.path)
        if chance.random() < 0.05:
            assert all(file.deaths == MOST for file in dealer.lost(share))
            out[share].clear()
        else:
            done = chance.sample(sorted(out[share]), len(out[share]) // 2 + len(out[share]) % 2)
            dealer.done(share, done)
            out[share] -= set(done)
            ended.update(done)
    assert set(ended.values()) == {1}
    assert len(ended) == 100


def test_files_are_pulled_as_they_are_asked_for() -> None:
    pulled = []

    def found() -> object:
        for file in files(1000, None):
            pulled.append(file)
            yield file

    dealer = Dealer(found(), 1000, 2)  # type: ignore[arg-type]
    assert (len(dealer.take(0, 16)), len(pulled), dealer.share_of_all) == (16, 16, 1 + 984 / 16)


def test_chunks_shrink_towards_the_end_so_that_all_end_together() -> None:
    dealer = Dealer(files(40, None), 40, 2)
    chunks: list[int] = []
    while chunk := dealer.take(len(chunks) % 2, 16):
        chunks.append(len(chunk))
    assert chunks == [10, 8, 6, 4, 3, 3, 2, 1, 1, 1, 1]


def test_a_file_that_workers_die_of_is_dealt_alone_and_then_given_up() -> None:
    dealer = Dealer(files(3, None), 3, 1)
    deaths, given_up = 0, list[Given]()
    innocent = {"/v/0.mp4", "/v/2.mp4"}
    while not dealer.finished:
        chunk = dealer.take(0, 3)
        assert len(chunk) == 1 or all(file.deaths < ALONE for file in chunk)
        if any(file.path not in innocent for file in chunk):
            given_up += dealer.lost(0)
            deaths += 1
        else:
            dealer.done(0, [file.path for file in chunk])
    assert [(file.path, file.deaths) for file in given_up] == [("/v/1.mp4", MOST)]
    assert deaths == MOST


def test_what_only_a_lost_share_may_write_waits_for_another_writer() -> None:
    dealer = Dealer(files(4, 1), 4, 2)
    assert dealer.take(0, 4) == []
    assert (dealer.waits(1), dealer.waits(0), dealer.idle(0)) == (True, False, True)
    assert [file.id for file in dealer.take(1, 4)] == ["v0", "v1", "v2", "v3"]
