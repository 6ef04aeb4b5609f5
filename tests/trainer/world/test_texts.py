"""The profiles with texts: what is written and said beside what is done, and what asks for it."""

import collections
import re
from pathlib import Path

import numpy as np
import pytest

from trainer.collection.annotations import JudgedQuery, load_queries
from trainer.ingest.beside import Sidecars
from trainer.ingest.sidecars import read_sidecar
from trainer.world import sayings
from trainer.world.annotate import annotate
from trainer.world.draw import Painter
from trainer.world.film import film
from trainer.world.judge import Ask, Judge, grades
from trainer.world.language import asked, where
from trainer.world.plan import SPLITS, VideoPlan
from trainer.world.planner import plan_video
from trainer.world.profile import HARD, HARD_TEXTS, TEXTS
from trainer.world.slices import belongs
from trainer.world.themes import THEMES
from trainer.world.vocabulary import FACTS, MOTIONS, SPEECHES

Queries = dict[str, list[JudgedQuery]]
# Words that mean nothing alone.
EMPTY = frozenset(
    "a an the is are was were be been has have had do does did will can not no my your her his its their "
    "our we i you he she it they that this of in on at to from for with all so up down out or and when "
    "where into me us somebody someone something person people every".split()
)


@pytest.fixture(scope="module")
def plans() -> list[VideoPlan]:
    return [plan_video(1, index, HARD_TEXTS) for index in range(120)]


@pytest.fixture(scope="module")
def queries(plans: list[VideoPlan], tmp_path_factory: pytest.TempPathFactory) -> Queries:
    out = tmp_path_factory.mktemp("texts")
    annotate(plans, 1, out, HARD_TEXTS)
    return {split: load_queries(out / f"annotations/{split}.json") for split in SPLITS}


def test_what_is_done_stays_as_it_is(plans: list[VideoPlan]) -> None:
    for plan in plans[:30]:
        bare = plan_video(1, plan.index, HARD)
        assert [(e.start, e.end, e.deed) for e in plan.events] == [
            (e.start, e.end, e.deed) for e in bare.events
        ]
        assert [(line.start, line.end) for line in plan.lines] == [
            (line.start, line.end) for line in bare.lines
        ]
        assert plan.fingerprint() != bare.fingerprint() or not any(event.sign for event in plan.events)


def test_a_sign_is_shown_in_a_scene_of_its_own(plans: list[VideoPlan]) -> None:
    signed = 0
    for plan in plans:
        ends = [(scene.start, scene.end) for scene in plan.scenes]
        assert ends[0][0] == 0.0
        assert ends[-1][1] == plan.duration
        assert [end for _, end in ends[:-1]] == [start for start, _ in ends[1:]]
        for event in plan.events:
            assert not event.sign or (event.start, event.end) in ends
            signed += event.sign is not None
    assert 0.25 < signed / sum(len(plan.events) for plan in plans) < 0.45


def test_a_sign_is_drawn_while_its_event_lasts(plans: list[VideoPlan]) -> None:
    plan = plan_video(7, 0, TEXTS)
    event = next(event for event in plan.events if event.sign)
    painter, middle = Painter(plan), (event.start + event.end) / 2
    rows = slice(0, 24) if event.sign and event.sign.top else slice(-24, None)
    white = [(painter.frame(0, t)[rows] > 225).all(axis=2).mean() for t in (middle, event.start - 0.1)]
    assert white[0] > 10 * white[1]


def test_signs_can_be_read(plans: list[VideoPlan]) -> None:
    reader = pytest.importorskip("rapidocr", reason="pip install 'spr-engine[screen]'").RapidOCR()
    signed = [(plan, e) for plan in plans if not plan.long for e in plan.events if e.sign]
    kinds = {event.sign.facts[0][0]: (plan, event) for plan, event in signed if event.sign}
    assert set(kinds) == {"code", "sign", "slide"}
    for plan, event in kinds.values():
        assert event.sign
        found = reader(Painter(plan).frame(0, (event.start + event.end) / 2)[:, :, ::-1])
        assert " ".join(found.txts or ()) == event.sign.text


def test_paraphrases_share_no_word(plans: list[VideoPlan]) -> None:
    def stems(text: str) -> set[str]:
        return {word[:5] for word in re.findall(r"\w+", text.lower()) if word not in EMPTY}

    for theme in THEMES:
        for statement, question in theme.asked:
            assert not stems(" ".join(theme.lines)) & stems(f"{statement} {question}"), theme.name
    said = {
        split: {fact for p in plans if p.split == split for e in p.events for fact in e.facts}
        for split in SPLITS
    }
    themes = {split: {name for kind, name in facts if kind == "theme"} for split, facts in said.items()}
    assert themes["train"]
    assert not themes["train"] & (themes["val"] | themes["test"])


def test_german_lines_lie_beside_their_video(plans: list[VideoPlan], tmp_path: Path) -> None:
    plan = min((plan for plan in plans if plan.language), key=lambda plan: plan.frames)
    assert film(plan, tmp_path)
    assert not film(plan, tmp_path)
    beside = Sidecars().of(tmp_path / f"{plan.name}.mp4")
    assert beside.path == tmp_path / f"{plan.name}.de.srt"
    assert [cue.text for cue in read_sidecar(beside.path).cues] == [line.text for line in plan.lines]
    english = {name for names in FACTS.values() for name in names}
    for words in sayings.GERMAN.values():
        assert not english & (set(words) | set(words.values()))


def test_every_slice_is_there(queries: Queries) -> None:
    kinds = {"precise", "imprecise", "temporal-only", "subtitle-only", "screen-text-only"}
    also = {"paraphrase", "second-language", "many-moments", "statement", "question", "look-alike"}
    counts = collections.Counter(name for query in queries["test"] for name in query.slices)
    assert kinds | also | {"long-video", "no-answer"} == set(counts)
    for split in ("val", "test"):
        asked_for = [query for query in queries[split] if query.slice != "no-answer"]
        assert all(max(m.relevance or 0 for m in query.moments) == 4 for query in asked_for)
    for query in queries["train"]:
        assert query.asks_text == (query.slice not in ("precise", "imprecise", "temporal-only"))
        assert query.asks_speech == (query.asks_text and query.slice != "screen-text-only")


def test_a_question_asks_for_what_its_statement_asks_for(queries: Queries) -> None:
    for made in queries.values():
        statements = {query.query_id: query for query in made if "statement" in query.slices}
        questions = [query for query in made if "question" in query.slices]
        assert len(questions) == len(statements)
        for query in questions:
            twin = statements[query.query_id - 250_000]
            assert (query.moments, query.slice) == (twin.moments, twin.slice)
            assert query.query.endswith("?")
            assert query.query.split()[0] in ("where", "wo")
            assert not twin.query.endswith("?")


def test_statements_become_questions() -> None:
    slide, go = MOTIONS["left"][1:]
    assert (
        where("a red ball", "sliding left on stripes", slide, 1)
        == "where does a red ball slide left on stripes?"
    )
    assert where("two boxes", "go from right to left", go, 2) == "where do two boxes go from right to left?"
    for _, _, reports in SPEECHES:
        for report in reports:
            assert re.fullmatch(
                r"where (do|does|is|are) .*[^?]\?", asked(report.format_map(collections.defaultdict(str)))
            )
    assert (
        asked("Tom and music are mentioned while it rains")
        == "where are Tom and music mentioned while it rains?"
    )


def test_what_is_written_is_asked_for_and_found(plans: list[VideoPlan], queries: Queries) -> None:
    shown = {(p.name, e.start): e.sign.text for p in plans for e in p.events if e.sign}
    asked_for = [query for query in queries["test"] if query.slice == "screen-text-only"]
    assert len(asked_for) >= 15
    for query in asked_for:
        for moment in query.moments:
            if moment.relevance == 4:
                words = [word for word in shown[moment.video, moment.start].split() if word in query.query]
                assert words, query.query
    events = [event for plan in plans for event in plan.events if event.sign]
    half = next(value for event in events for kind, value in event.facts if kind == "half")
    grade = grades(Judge(events).shares(Ask(facts=(("half", half),))))
    assert [event.sign.text.startswith(half) for event in events if event.sign] == (grade == 4).tolist()


def test_many_moments_are_several_of_one_video(plans: list[VideoPlan]) -> None:
    from trainer.world.questions import Question

    asking = Question("RE16", Ask(facts=(("half", "RE16"),)), "screen-text-only")
    videos = [plans[0], plans[0], plans[1]]
    assert belongs(asking, np.array([1.0, 1.0, 0.0]), videos, many=True) == ("many-moments",)
    assert belongs(asking, np.array([1.0, 0.0, 1.0]), videos, many=True) == ()
    assert belongs(asking, np.array([1.0, 1.0, 0.0]), videos) == ()
