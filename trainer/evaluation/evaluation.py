"""A whole evaluation: answers from where the configuration says, measured, and written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from engine.errors import InvalidInput
from engine.files import write_json
from engine.proposals import ProposalRule
from engine.texts import CHANNELS
from engine.version_lock import held_as
from trainer.collection.annotations import JudgedQuery, load_corpus
from trainer.evaluation.chance import corpus_beside, corpus_of
from trainer.evaluation.judged import load_judged
from trainer.evaluation.matching import PROTOCOLS
from trainer.evaluation.measures import Absent
from trainer.evaluation.report import Report, report
from trainer.evaluation.resample import SAMPLES
from trainer.evaluation.runfile import Run, load_about, load_run, save_run, truth_card, truth_of
from trainer.formats.moments import load_existence
from trainer.formats.segments import segments_beside
from trainer.progress import Progress
from trainer.spread.crew import address_of

# What a report keeps of who answered, and a run file with it.
KEPT = ("versions", "segment_length")
SEGMENT_LENGTH = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalConfig:
    """What is measured, how, and which files are written. Times are seconds.

    One of run (a run file), address (a service, HOST:PORT) and collection (its `version`, the active one
    if that is empty) gives the answers. truth: judged queries; None for those that the run file names.
    corpus: videos and durations for the chance level; None for the file beside the truth.
    protocol, absent, reach, bootstrap (resamples), seed: as in `report`. channels: where to look, () for
    everywhere. segment_top_k, proposals: how a search retrieves and proposes, None for the defaults.
    segment_length: None for the collection's. in_flight, timeout: of a service's queries. limit: of queries.
    engine: where queries of a collection are answered, as `--engine` has it.
    out, plot, reliability, html, run_out: the report as JSON, as charts and as a page, and the answers.
    """

    run: Path | None = None
    address: str | None = None
    collection: Path | None = None
    version: str = ""
    engine: str = "local"
    truth: Path | None = None
    corpus: Path | None = None
    protocol: str = "spr"
    absent: Absent = "zero"
    channels: Sequence[str] = ()
    segment_top_k: int | None = None
    proposals: str | None = None
    segment_length: float | None = None
    in_flight: int = 4
    timeout: float | None = 30.0
    reach: float | None = None
    bootstrap: int = SAMPLES
    limit: int | None = None
    seed: int = 0
    out: Path | None = None
    plot: Path | None = None
    reliability: Path | None = None
    html: Path | None = None
    run_out: Path | None = None

    @property
    def rule(self) -> ProposalRule | None:
        """The rule that makes proposals of segments."""
        return ProposalRule.parse(self.proposals) if self.proposals else None


@dataclass(frozen=True, slots=True)
class Answered:
    """The answers to judged queries. facts: who gave them. failures: reasons by query id."""

    run: Run
    facts: dict[str, Any]
    failures: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The report, and the reasons of the queries that failed and count as zero, by query id."""

    report: Report
    failures: Mapping[int, str]


def run_evaluation(config: EvalConfig) -> Evaluation:
    """Collect the answers, measure them, write what the configuration names, and return the report.

    Raises InvalidInput, NotFound, Mismatch or Unavailable with what is wrong; failed queries of a service
    that answers others are noted instead.
    """
    truth = config.truth or truth_of(_given(config.run))
    # What can be refused is, before the answers are collected.
    queries = load_judged(truth, config.limit)
    corpus = load_corpus(config.corpus) if config.corpus else corpus_beside(truth)
    answered = _answered(config, queries)
    length = config.segment_length or answered.facts.get("segment_length", SEGMENT_LENGTH)
    facts = {**answered.facts, "segment_length": length}
    if config.run_out:
        about = {name: facts[name] for name in KEPT if name in facts}
        save_run(config.run_out, answered.run, {"truth": truth_card(truth), **about})
    measured = report(
        answered.run,
        queries,
        corpus=corpus or None,
        segment_length=length,
        protocol=PROTOCOLS[config.protocol],
        samples=config.bootstrap,
        given=segments_beside(truth, length),
        absent=config.absent,
        reach=config.reach,
        seed=config.seed,
        existence=_existence(config),
    )
    measured = replace(measured, about=facts)
    _write(measured, config)
    if config.html:
        _write_html(config.html, measured, answered.run, queries, corpus, config)
    return Evaluation(measured, answered.failures)


def _answered(config: EvalConfig, queries: Sequence[JudgedQuery]) -> Answered:
    if config.run is not None:
        about = load_about(config.run)
        return Answered(load_run(config.run), {name: about[name] for name in KEPT if name in about})
    with Progress("eval", total=len(queries), unit="queries") as progress:
        if config.address is not None:
            return _asked(config, config.address, queries, progress.update)
        return _searched(config, _given(config.collection), queries, progress.update)


def _asked(
    config: EvalConfig, address: str, queries: Sequence[JudgedQuery], on_done: Callable[[int], None]
) -> Answered:
    from trainer.evaluation.service import collect

    collected = collect(
        address,
        queries,
        segment_top_k=config.segment_top_k,
        rule=config.rule,
        in_flight=config.in_flight,
        timeout=config.timeout,
        on_done=on_done,
        channels=config.channels,
    )
    return Answered(collected.run, collected.facts(), collected.failures)


def _searched(
    config: EvalConfig, collection: Path, queries: Sequence[JudgedQuery], on_done: Callable[[int], None]
) -> Answered:
    # torch, which a run file or a service does not need.
    from trainer.evaluation.offline import Offline, facts_of, search_offline

    chosen, address = config.channels or CHANNELS, address_of(config.engine)
    # Parts are read as they are needed; without some, answers would be others.
    with held_as(collection, config.version) as version:
        if address is not None:
            from trainer.spread.answers import Asked, search_spread

            asked = Asked(collection.absolute(), version, chosen, config.segment_top_k, config.rule)
            return Answered(*search_spread(asked, queries, address, on_done))
        searched = Offline.open(collection, version, chosen=chosen)
        run = search_offline(searched, queries, config.segment_top_k, on_done, config.rule)
        return Answered(run, facts_of(searched))


def _existence(config: EvalConfig) -> dict[int, float]:
    """Return the existence scores that a file of predictions gives beside its moments."""
    return load_existence(config.run) if config.run and config.run.suffix == ".jsonl" else {}


def _given(path: Path | None) -> Path:
    if path is None:
        raise InvalidInput("Name a run file, an address or a collection, and the truth.")
    return path


def _write(measured: Report, config: EvalConfig) -> None:
    if config.out:
        write_json(config.out, measured.to_json())
    if config.plot:
        from trainer.evaluation.plot import plot

        plot(measured, config.plot)
    if config.reliability:
        from trainer.evaluation.plot import plot_reliability

        if not measured.confidence:
            raise InvalidInput("The moments carry no confidence; leave --reliability out.")
        plot_reliability(list(measured.confidence.values())[-1], config.reliability)


def _write_html(
    path: Path,
    measured: Report,
    run: Run,
    queries: Sequence[JudgedQuery],
    corpus: Mapping[str, float],
    config: EvalConfig,
) -> None:
    # Templates are slow to import, and not every evaluation is a page.
    from trainer.evaluation.html.pages import write_report

    write_report(
        path,
        measured,
        run,
        queries,
        protocol=PROTOCOLS[config.protocol],
        absent=config.absent,
        seconds={**corpus_of(queries), **corpus},
        seed=config.seed,
        samples=config.bootstrap,
    )
