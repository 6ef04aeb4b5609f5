"""Render a whole world into a directory: videos in parallel, then captions and judged queries."""

import collections
import contextlib
import fcntl
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.cores import cores
from engine.errors import InvalidInput, Unavailable
from engine.files import make_folder, read_json, write_json
from engine.version_lock import LOCKLESS
from trainer.collection.annotations import JudgedQuery
from trainer.pools import pool
from trainer.world import speak
from trainer.world.annotate import annotate
from trainer.world.film import film
from trainer.world.plan import FPS, SIZE, SPLITS, VideoPlan
from trainer.world.planner import plan_video
from trainer.world.profile import PLAIN, Profile

FORMAT = 1
_LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Finished:
    """One video is done: its name, its frames, and whether it had to be rendered."""

    video: str
    frames: int
    rendered: bool


def build_world(
    out: Path,
    videos: int,
    seed: int,
    workers: int = 0,
    progress: Callable[[Finished, int], None] | None = None,
    profile: Profile = PLAIN,
    aloud: bool = False,
) -> dict[str, Any]:
    """Render `videos` videos of the world `seed` under `out` and return what world.json says of it.

    profile: what is filmed and asked. aloud: lines are spoken in place of subtitles. Finished videos of the
    same world are kept. workers: processes, 0 for one a CPU; the bytes do not depend on it. progress: told of
    each finished video and of the frames of the whole world. Raises InvalidInput if `out` holds another
    world, Unavailable without a voice, or where another process renders into it.
    """
    plans = [plan_video(seed, index, profile) for index in range(videos)]
    total = sum(plan.frames for plan in plans)
    if aloud:
        speak.check()
    with _alone(out):
        _prepare(out, plans, seed, profile)
        with contextlib.closing(_filmed(plans, out / "videos", workers or cores(), aloud)) as films:
            for finished in films:
                if progress:
                    progress(finished, total)
        queries = annotate(plans, seed, out, profile)
        world = _world(plans, seed, queries)
        if profile is not PLAIN:
            world |= _composition(plans, queries, profile)
        write_json(out / "world.json", world)
    return world


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Be the only process that renders there: what killed ones left is removed."""
    make_folder(out)
    with (out / _LOCK).open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(
                f"another process renders into {out}; wait for it to end, or stop it."
            ) from None
        except OSError as error:
            # A share without locks protects nothing.
            if error.errno not in LOCKLESS:
                raise
        yield


def _prepare(out: Path, plans: list[VideoPlan], seed: int, profile: Profile) -> None:
    """Make the directory; refuse to mix worlds, as whoever ingests a directory takes every video in it."""
    folder = out / "videos"
    folder.mkdir(parents=True, exist_ok=True)
    before = read_json(out / "world.json") if (out / "world.json").exists() else {}
    known = before.get("seed", seed)
    made = before.get("profile", PLAIN.name) if before else profile.name
    if made != profile.name:
        raise InvalidInput(
            f"{out} holds a world of profile {made}, not {profile.name}; name another directory."
        )
    strange = {path.stem for path in folder.glob("*.mp4")} - {plan.name for plan in plans}
    if known != seed or strange:
        raise InvalidInput(
            f"{out} holds {len(strange)} videos more than asked for and a world of seed {known}, not {seed}; "
            "ask for that world or a larger one of its seed, or name another directory."
        )
    for left_over in folder.glob(".*.partial"):
        left_over.unlink()


def _filmed(plans: list[VideoPlan], folder: Path, workers: int, aloud: bool) -> Generator[Finished]:
    if workers == 1:
        yield from (_film(plan, folder, aloud) for plan in plans)
        return
    # Spawned, never forked. The longest first, so that no process is left alone with it at the end.
    order = sorted(plans, key=lambda plan: -plan.frames)
    # Films in the making are made anew; nobody who stopped waits for their ends.
    with pool(min(workers, len(plans))) as processes:
        for future in as_completed([processes.submit(_film, plan, folder, aloud) for plan in order]):
            yield future.result()


def _film(plan: VideoPlan, folder: Path, aloud: bool) -> Finished:
    return Finished(plan.name, plan.frames, film(plan, folder, aloud))


def _composition(
    plans: list[VideoPlan], queries: dict[str, list[JudgedQuery]], profile: Profile
) -> dict[str, Any]:
    """Return how much of what there is, by split."""
    slices = {
        split: dict(sorted(collections.Counter(name for query in made for name in query.slices).items()))
        for split, made in queries.items()
    }
    long = {split: [plan.name for plan in plans if plan.long and plan.split == split] for split in SPLITS}
    return {"profile": profile.name, "slices": slices, "long_videos": long}


def _world(plans: list[VideoPlan], seed: int, queries: dict[str, list[JudgedQuery]]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "seed": seed,
        "videos": len(plans),
        "seconds": sum(plan.duration for plan in plans),
        "events": sum(len(plan.events) for plan in plans),
        "subtitled": sum(plan.subtitled for plan in plans),
        "frame_size": [SIZE, SIZE],
        "fps": FPS,
        "queries": {split: len(made) for split, made in queries.items()},
        "splits": {split: [plan.name for plan in plans if plan.split == split] for split in SPLITS},
    }
