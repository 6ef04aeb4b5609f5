"""What each kind of job does."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from engine import logs, versions
from engine.corpus import open_corpus
from engine.errors import Mismatch, SprError
from engine.printable import printable
from trainer.generation.garbage import collect_garbage, is_purging
from trainer.ingest import media
from trainer.ingest.scan import Survey
from trainer.library.compacting import compact, tidy
from trainer.library.deleting import delete
from trainer.library.ingesting import Added, add_files, files_of
from trainer.library.kits import Kits
from trainer.library.purging import purge
from trainer.library.roots import Roots
from trainer.library.steps import Change, OnProgress
from trainer.library.tasks import Outcome, Task

_log = logging.getLogger("spr.library")
Tell = Callable[[str], None]
_DAMAGE_TOLD = 3


class Work:
    """Does jobs with models that stay loaded.

    keep: versions that a garbage run leaves by default. roots: where the files may lie that jobs name.
    """

    def __init__(self, kits: Kits, keep: int, roots: Roots) -> None:
        self._kits, self._keep, self._roots = kits, keep, roots
        self._waiting: dict[Path, logs.Waiting] = {}

    def warm(self, collection: Path) -> None:
        """Load what the first add needs, as far as it is there."""
        try:
            corpus = open_corpus(collection)
            self._kits.encoder(corpus)
            self._kits.clip_encoder(corpus)
        except (SprError, OSError) as error:
            _log.info("nothing can be added to %s yet: %s", collection, error)

    def do(self, collection: Path, tasks: Sequence[Task], tell: Tell) -> list[Outcome]:
        """Do one job, or adds together; return how each ended. SprError where all of them failed alike.

        tell: gets what is being done, for people; what it raises ends the work, which may be done again.
        """
        if tasks[0].kind == "add":
            return self._add(collection, tasks, tell)
        (task,) = tasks
        kinds = {
            "delete": self._delete,
            "compact": self._compact,
            "snapshot": self._snapshot,
            "restore": self._restore,
            "verify": self._verify,
            "gc": self._gc,
        }
        return [kinds[task.kind](collection, task, tell)]

    def tidy(self, collection: Path, on_progress: OnProgress) -> Change | None:
        """Merge parts where that is worth it; see `compacting.tidy`."""
        return tidy(collection, on_progress)

    def collect(self, collection: Path) -> bool:
        """Remove the versions that are not kept and what only they need; what stands in the way is logged.

        Returns whether it is to be tried again soon: a purge goes on until nobody holds an older version.
        """
        if versions.newest(collection):
            try:
                collect_garbage(collection, 1 + self._keep)
            except (SprError, OSError) as error:
                waiting = self._waiting.setdefault(collection, logs.Waiting(_log))
                waiting.tell(f"old versions of {collection} cannot be removed", error)
        return is_purging(collection)

    def _add(self, collection: Path, tasks: Sequence[Task], tell: Tell) -> list[Outcome]:
        surveys: dict[int, Survey | SprError] = {}
        paths: list[Path] = []
        for task in tasks:
            mine = [Path(path) for path in task.work.add.paths]
            try:
                surveys[task.number] = self._roots.within(files_of(collection, mine))
                paths += mine
            except SprError as error:
                surveys[task.number] = error
        added = None
        if paths:
            added = add_files(
                collection,
                list(dict.fromkeys(paths)),
                self._kits,
                lambda done, total, words: tell(f"encoding, {100 * done // max(1, total)} %: {words}"),
                _stages(tell),
                self._roots,
            )
        return [_added(surveys[task.number], added) for task in tasks]

    def _delete(self, collection: Path, task: Task, tell: Tell) -> Outcome:
        tell("deleting")
        about = task.work.delete
        change = delete(collection, list(about.video_ids), again=task.again, purging=about.purge)
        version = change.version
        if about.purge:
            purged, _ = purge(collection, _stages(tell))
            version = purged.version
        return Outcome(f"deleted {_videos(len(change.videos))}", version, change.videos)

    def _compact(self, collection: Path, task: Task, tell: Tell) -> Outcome:
        change = compact(collection, on_progress=_stages(tell))
        return Outcome(f"merged {change.parts} parts", change.version)

    def _snapshot(self, collection: Path, task: Task, tell: Tell) -> Outcome:
        from trainer.library.snapshot import snapshot

        about = task.work.snapshot
        # Again: a link may have come since it was submitted.
        self._roots.check("snapshot.destination", about.destination)
        # Where another process writes there, other jobs come first.
        version, size = snapshot(collection, about.destination, about.version, _stages(tell), patience=0)
        return Outcome(f"copied {size / 2**20:.1f} MB to {about.destination}", version.id)

    def _restore(self, collection: Path, task: Task, tell: Tell) -> Outcome:
        from trainer.library.restore import restore

        about = task.work.restore
        self._roots.check("restore.source", about.source)
        version, size = restore(collection, about.source, about.version, _stages(tell))
        return Outcome(f"copied {size / 2**20:.1f} MB from {about.source}", version.id)

    def _verify(self, collection: Path, task: Task, tell: Tell) -> Outcome:
        from trainer.library.verify import verify

        damaged = verify(collection, _stages(tell))
        if damaged:
            more = f" and {len(damaged) - _DAMAGE_TOLD} more" if len(damaged) > _DAMAGE_TOLD else ""
            message = f"damage was found{more}: {' '.join(damaged[:_DAMAGE_TOLD])}"
            return Outcome(error=message, reason="GENERATION_CORRUPT", warnings=damaged)
        return Outcome("every byte is as it was written", versions.newest(collection))

    def _gc(self, collection: Path, task: Task, tell: Tell) -> Outcome:
        tell("removing")
        removed = collect_garbage(collection, 1 + (task.work.collect_garbage.keep or self._keep))
        told = f"removed {len(removed.versions)} versions and {len(removed.parts)} parts"
        return Outcome(f"{told}, {removed.bytes / 2**20:.1f} MB", versions.newest(collection))


def _added(survey: Survey | SprError, added: Added | None) -> Outcome:
    """Return how one add ended, of those that were done together."""
    if isinstance(survey, SprError) or added is None:
        error = survey if isinstance(survey, SprError) else Mismatch("nothing was added.")
        return Outcome(error=str(error), reason=error.reason)
    mine = {media.shown(file.path) for file in survey.found}
    failed = [one for one in added.summary.failed if one.path in mine]
    warnings = [f"{printable(one.path)}: {one.reason}" for one in failed]
    warnings += [
        f"{printable(media.shown(path))}: {why}" for path, why in (*survey.unreadable, *survey.left_out)
    ]
    warnings += [
        f"{printable(one['path'])}: {one['warning']}" for one in added.summary.warnings if one["path"] in mine
    ]
    ids = added.ids_of(survey.found)
    if not ids:
        why = warnings[0] if warnings else "there is no video"
        return Outcome(error=f"nothing was added: {why}", reason="BAD_VIDEO", warnings=warnings)
    there = [video for video in ids if video in added.change.unchanged]
    known = f", {len(there)} of them unchanged" if there else ""
    warnings += added.change.notes
    return Outcome(f"added {_videos(len(ids))}{known}", added.change.version, ids, warnings)


def _stages(tell: Tell) -> Callable[[str, int, int], None]:
    return lambda stage, done, total: tell(f"{stage}, {100 * done // max(1, total)} %")


def _videos(count: int) -> str:
    return "1 video" if count == 1 else f"{count} videos"
