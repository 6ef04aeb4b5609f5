"""What an answer says of the lists its moments are in, and of the texts there."""

from functools import partial
from pathlib import Path
from typing import Any

from engine.evidence import AROUND
from engine.texts import SAID, SEEN, TEXTS, WRITTEN
from spr.v1 import search_service_pb2 as pb
from spr.v1 import types_pb2
from tests.engine.asking import rounded, seconds
from tests.engine.corpus import SEGMENT
from tests.engine.oracle import Cluster, cluster
from tests.engine.running import ask
from tests.engine.talking import CHANNELS, METHODS, QUERY, asked, inside, lists_of, search, talking


def test_a_moment_tells_what_found_it(spoken: Cluster) -> None:
    corpus, lists = spoken.corpus, lists_of(spoken.corpus, (SEEN, *TEXTS))
    response = ask(spoken, partial(search, wanted=asked()))
    told = 0
    for moment in response.moments:
        video = corpus.ids().index(moment.video_id)
        span = seconds(moment.provenance.proposal_span)
        wanted = {}
        for name, places in lists.items():
            ranks = [rank for rank, place in enumerate(places) if inside(place, video, span)]
            if ranks:
                wanted[name] = ranks[0]
        names = {(CHANNELS[c], METHODS[m]): (c, m) for c, m in lists}
        found = {names[one.channel, one.method]: one.rank for one in moment.found_by}
        assert found == wanted
        assert [one.rank for one in moment.found_by] == sorted(found.values())
        for one in moment.found_by:
            name = names[one.channel, one.method]
            assert one.HasField("line") == (name[0] != SEEN)
            if name[0] == SEEN:
                continue
            place = lists[name][one.rank]
            assert corpus.texts is not None
            assert "".join(piece.text for piece in one.line.pieces) == corpus.texts[name[0]][place]
            assert {piece.text for piece in one.line.pieces if piece.matched} <= set(QUERY.split())
            assert seconds(one.line.span) == (place[1] * SEGMENT + 1.5, place[1] * SEGMENT + 3.0)
            assert one.line.HasField("box") == (name[0] == WRITTEN)
            told += 1
    assert told > 5


def test_what_texts_found_has_their_line_s_span(spoken: Cluster) -> None:
    response = ask(spoken, partial(search, wanted=asked()))
    by_texts = 0
    for moment in response.moments:
        texts = [one for one in moment.found_by if one.channel != types_pb2.CHANNEL_SEEN]
        start, end = seconds(texts[0].line.span) if texts else (0.0, 0.0)
        ends = spoken.corpus.durations[spoken.corpus.ids().index(moment.video_id)]
        if texts and start < ends:
            beside = AROUND if texts[0].channel == types_pb2.CHANNEL_SAID else 0.0
            around = max(0.0, start - beside), min(end + beside, ends)
            assert rounded([("", *seconds(moment.span))]) == rounded([("", *around)])
            by_texts += 1
        else:
            start, end = seconds(moment.provenance.proposal_span)
            quarter = (end - start) / 4
            assert rounded([("", *seconds(moment.span))]) == rounded([("", start + quarter, end - quarter)])
    assert 0 < by_texts < len(response.moments)


def test_pages_tell_the_same_as_the_whole_list(spoken: Cluster) -> None:
    async def read(stub: Any) -> Any:
        whole = await stub.Search(asked())
        first = asked()
        first.page_size = 3
        page = await stub.Search(first)
        moments = list(page.moments)
        while page.next_page_token:
            page = await stub.Search(pb.SearchRequest(page_token=page.next_page_token, page_size=4))
            moments += page.moments
        return list(whole.moments), moments

    whole, paged = ask(spoken, read)
    assert paged == whole


def test_without_the_file_of_texts_a_moment_still_tells_its_lists(tmp_path: Path) -> None:
    with cluster(tmp_path, talking(1)) as workers:
        before = ask(workers, partial(search, wanted=asked(SAID, WRITTEN)))
        (path,) = workers.topology.collection.glob("parts/*/texts.sqlite")
        content = path.read_bytes()
        path.unlink()
        for spoilt in (content.replace(b"rain falls", b"rain fills"), b"nonsense" * 100, None):
            path.unlink(missing_ok=True)
            if spoilt is not None:
                path.write_bytes(spoilt)
            after = ask(workers, partial(search, wanted=asked(SAID, WRITTEN)))
            told, lacking = ([m.found_by for m in response.moments] for response in (before, after))
            assert [[one.rank for one in found] for found in lacking] == [
                [one.rank for one in found] for found in told
            ]
            assert not any(one.HasField("line") for found in lacking for one in found)
        path.write_bytes(content)
        assert ask(workers, partial(search, wanted=asked(SAID, WRITTEN))).moments == before.moments


def test_an_explanation_has_every_list(spoken: Cluster) -> None:
    video = "video-002"
    why = ask(spoken, lambda stub: stub.Explain(pb.ExplainRequest(search=asked(), video_id=video)))
    lists = lists_of(spoken.corpus, (SEEN, *TEXTS))
    wanted = {
        (CHANNELS[name[0]], METHODS[name[1]], rank, place[1] * SEGMENT)
        for name, places in lists.items()
        for rank, place in enumerate(places)
        if place[0] == 2
    }
    assert {(one.channel, one.method, one.rank, seconds(one.span)[0]) for one in why.segments} == wanted
    starts = [seconds(one.span)[0] for one in why.segments]
    assert starts == sorted(starts)
    assert all(moment.found_by for moment in why.moments)
