"""Queries of several sentences about a planned world."""

from trainer.world.pairs import negated_queries, ordered_queries
from trainer.world.planner import plan_video

VIDEOS = [plan_video(7, index) for index in range(12)]
EVENTS = {plan.name: [(event.start, event.end) for event in plan.events] for plan in VIDEOS}


def test_an_ordered_query_is_answered_by_events_that_follow_each_other() -> None:
    queries = ordered_queries(VIDEOS, 10, seed=1)
    assert len(queries) == 10
    for query in queries:
        assert len(query.texts) == 2
        grades = [chain.grade for chain in query.chains]
        assert grades == sorted(grades, reverse=True)
        assert grades[0] == 4, "what was asked about answers in full"
        for chain in query.chains:
            first, second = chain.spans
            assert first in EVENTS[chain.video]
            assert second in EVENTS[chain.video]
            assert first[0] < second[0] <= first[1] + 30
    assert queries == ordered_queries(VIDEOS, 10, seed=1)


def test_a_negated_query_names_the_events_that_show_what_must_not_be_there() -> None:
    queries = negated_queries(VIDEOS, 10, seed=1)
    assert len(queries) == 10
    for query in queries:
        colour = query.negative.split()[-1]
        showing = {(video, start) for video, start, _ in query.showing}
        for plan in VIDEOS:
            for event in plan.events:
                other = event.deed.other
                shown = colour in (event.deed.thing.colour, other and other.colour)
                assert ((plan.name, event.start) in showing) == shown
