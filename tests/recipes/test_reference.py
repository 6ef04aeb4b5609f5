from pathlib import Path

from recipes.reference.__main__ import OUT, write


def test_the_api_reference_is_what_protos_and_docstrings_say(tmp_path: Path) -> None:
    write(tmp_path)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert {path.name: path.read_text() for path in OUT.iterdir()} == made, "run: make docs-api"
    search = made["search_service.md"]
    # A field's comment, its type's page, and an RPC with its errors.
    assert "| `page_size` | int32 | Moments a page. 0: 10; at most 100 (larger is coerced)." in search
    assert "| `moments` | repeated [Moment](types.md#moment) | One page, best first. |" in search
    assert "INVALID_ARGUMENT     QUERY_EMPTY, BAD_PARAMETER" in search
    python = made["python.md"]
    assert "## Client\n\nAsks one SPR service for moments." in python
    assert "### Client.search\n\n```python\nsearch(\n    query: Query,\n" in python
    assert "    options: Options = Options(),\n" in python
