"""The driver of an ingest on many machines: finds, names and deals files, and tells what became of them."""

import contextlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from engine.errors import Unavailable
from trainer.ingest import kept, media
from trainer.ingest.errors import BadVideo
from trainer.ingest.identity import Contents, settle_absent
from trainer.ingest.meter import Progress
from trainer.ingest.opening import features
from trainer.ingest.pipeline import clash
from trainer.ingest.scan import Files, Survey, VideoFile
from trainer.ingest.summary import Interrupted, Summary
from trainer.ingest.unfinished import sweep
from trainer.screen.run import ScreensRead
from trainer.speech.run import Transcribed
from trainer.spread.crew import Crew, Died, Member
from trainer.spread.dealing import Dealer
from trainer.spread.given import Naming, opened, stems_alone
from trainer.spread.report import Report, joined, take_in
from trainer.spread.worker import LOCKED, IngestTask, IngestWorker, patiently
from workers.feature_store.shares import Share
from workers.feature_store.store import FeatureStore

# Seconds after which Ray is started while files are listed still; what is wrong is mostly seen before.
AT_ONCE = 0.2


def ingest_spread(
    paths: Sequence[Path],
    task: IngestTask,
    address: str,
    name: str,
    progress: Progress,
    find: Callable[[], Survey],
) -> Summary:
    """Bring a collection up to date as `trainer.ingest.pipeline.ingest` does, on a Ray cluster.

    name: of the encoder, as it was given. find: lists the files, while Ray starts and workers load. Raises
    what both raise; Unavailable too where no worker is left: what was ingested is kept.
    """
    lister = ThreadPoolExecutor(1)
    try:
        finding = lister.submit(find)
        if wait([finding], AT_ONCE).done:
            finding.result()
        with Crew(address, IngestWorker, task, gpus=task.device != "cpu") as crew:
            for member in crew.members:
                crew.call(member, "load")
            return _ingest(paths, task, crew, name, progress, finding.result())
    finally:
        # Ctrl-C does not wait for a list.
        lister.shutdown(wait=False)


def _ingest(
    paths: Sequence[Path], task: IngestTask, crew: Crew, name: str, progress: Progress, found: Survey
) -> Summary:
    summary = Summary(str(task.collection), name, task.fingerprint)
    for path, reason in found.unreadable:
        summary.fail(path, BadVideo("unreadable", reason))
    summary.left_out = [{"path": media.shown(path), "reason": reason} for path, reason in found.left_out]
    store = task.collection / "features" / task.fingerprint
    if task.options.forget:
        with FeatureStore.open(store, "a") as writing:
            for video in task.options.forget:
                writing.forget(video)
    driver = Driver(crew, task, summary, progress)
    try:
        driver.run(found.found[: task.options.limit or None], store)
    except KeyboardInterrupt as stopped:
        raise Interrupted(summary) from stopped
    _settle(paths, task, driver.dim, summary)
    return summary


@dataclass(frozen=True, slots=True)
class _Named:
    """An encoder as a store knows it."""

    name: str
    fingerprint: str
    dim: int


def _settle(paths: Sequence[Path], task: IngestTask, dim: int, summary: Summary) -> None:
    """Do what is done once, when all files are in the store."""
    encoder = _Named(task.encoder, task.fingerprint, dim)
    with contextlib.ExitStack() as stack:
        store = patiently(
            lambda: stack.enter_context(features(task.collection, encoder, task.options)), LOCKED
        )
        summary.notes = [*store.notices, *summary.notes]
        settle_absent(store, paths, Contents(store), summary)
        sweep(store.path)
        kept.sweep_alone(store)
    summary.sort()


class Driver:
    """Deals files to a crew, each member the writer of a share of the store. dim: the encoder's width."""

    def __init__(self, crew: Crew, task: IngestTask, summary: Summary, progress: Progress) -> None:
        self._crew, self._task, self._summary, self._progress = crew, task, summary, progress
        self._count = len(crew.members)
        self._shares = {member.number: member.number for member in crew.members}
        # Of whom it is the first call, or the one after a death: it opens its share.
        self._opening = {member.number for member in crew.members}
        self._bytes: dict[int, tuple[int, int]] = {}
        self._before = (0, 0)
        self._heard: list[Transcribed] = []
        self._read: list[ScreensRead] = []
        self._began = time.monotonic()
        self._dealer = Dealer((), 0, self._count)
        self.dim = 0

    def run(self, files: Files, store: Path) -> None:
        """Ingest files, with their second turn for those that another stood in the way of."""
        for member in self._crew.members:
            self._begin(member, patient=False)
        alone = stems_alone(files)
        waiting: Sequence[VideoFile] = files
        while True:
            naming = Naming()
            given = naming.given(waiting, alone, opened(store), Share(0, self._count))
            self._deal(Dealer(given, len(waiting), self._count))
            if not naming.clashes or not naming.named:
                break
            waiting = [file for file, _ in naming.clashes]
        self._close()
        for file, other in naming.clashes:
            self._summary.fail(file.path, clash(file, other, self._task.options))
        self._summary.elapsed = round(time.monotonic() - self._began, 3)
        self._summary.seconds_of_video = round(self._summary.seconds_of_video, 3)
        if (heard := joined(self._heard)) is not None:
            self._summary.heard(heard)
        if (read := joined(self._read)) is not None:
            self._summary.read(read)

    def _deal(self, dealer: Dealer) -> None:
        self._dealer = dealer
        # Who had nothing to do asks again.
        while not dealer.finished:
            self._each(self._go_on)

    def _each(self, then: Callable[[Member, Report], None]) -> None:
        """Take a call that ended and do what follows; start anew whoever died."""
        for member in self._crew.ended():
            try:
                told = self._crew.take(member)
            except Died:
                self._dead(member)
                continue
            if member.number in self._opening:
                self._opening.discard(member.number)
                self.dim, wanted = told
                told = Report(wanted)
            self._note(member, told)
            then(member, told)

    def _go_on(self, member: Member, report: Report) -> None:
        share = self._shares[member.number]
        files = self._dealer.take(share, report.wanted) if report.wanted else []
        if not files and self._dealer.idle(share) and (left := self._left()) is not None:
            self._shares[member.number] = left
            self._begin(member, patient=True)
        else:
            self._crew.call(member, "exchange", files)

    def _begin(self, member: Member, patient: bool) -> None:
        done, _ = self._bytes.pop(member.number, (0, 0))
        self._before = (self._before[0] + done, self._before[1] + done)
        self._opening.add(member.number)
        share = Share(self._shares[member.number], self._count)
        self._crew.call(member, "begin", share, patient)

    def _note(self, member: Member, report: Report) -> None:
        take_in(self._summary, report)
        self._dealer.done(self._shares[member.number], report.ended)
        self._heard += report.heard
        self._read += report.read
        self._bytes[member.number] = (report.done, report.total)
        if report.ended:
            member.restarts = 0
        self._tell()

    def _tell(self) -> None:
        done = self._before[0] + sum(done for done, _ in self._bytes.values())
        total = self._before[1] + sum(total for _, total in self._bytes.values())
        # What was not dealt yet is taken to be as large as the rest.
        total = max(done, round(total * self._dealer.share_of_all))
        speed = self._summary.seconds_of_video / max(time.monotonic() - self._began, 1e-9)
        counts = f"{self._summary.ingested} ingested, {len(self._summary.failed)} failed"
        self._progress(done, total, f"{counts}, {speed:.3g}x real time, {len(self._crew.members)} workers")

    def _dead(self, member: Member) -> None:
        for file in self._dealer.lost(self._shares[member.number]):
            reason = (
                f"the process that ingested it died {file.deaths} times, at last with no other file at hand"
            )
            self._summary.fail(Path(file.path), BadVideo("corrupt", reason))
        if self._crew.again(member):
            self._begin(member, patient=True)
        elif not self._crew.members and not self._dealer.finished:
            raise Unavailable(
                "every worker of the Ray cluster is gone; what was ingested is kept, and the same command "
                "goes on where it stopped"
            )

    def _left(self) -> int | None:
        """Return a share with work whose writer is gone for good; None for none."""
        held = {self._shares[member.number] for member in self._crew.members}
        return next((s for s in range(self._count) if s not in held and self._dealer.waits(s)), None)

    def _close(self) -> None:
        closing = set[int]()

        def close(member: Member, _: Report) -> None:
            if member.number not in closing:
                closing.add(member.number)
                self._crew.call(member, "close")

        for member in [one for one in self._crew.members if one.number in self._opening]:
            # The cluster has had no room for it, or it opens its share only now: it has nothing to tell.
            self._crew.leave(member)
        while self._crew.calling():
            self._each(close)
