"""A query that was cut is told to the caller."""

from spr.v1.search_service_pb2 import SearchResponse
from spr_cli.search import _footer
from spr_client.translate import result_from_pb


def test_a_query_that_was_cut_is_one_line_more() -> None:
    whole, cut = (result_from_pb(SearchResponse(query_truncated=told), None) for told in (False, True))
    assert (whole.query_truncated, cut.query_truncated) == (False, True)
    (line,) = set(_footer(cut, False)) - set(_footer(whole, False))
    assert "longer than the encoder reads" in line
