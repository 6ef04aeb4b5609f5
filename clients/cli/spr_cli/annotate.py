"""`spr annotate`: judge a set of queries in the web page, from nothing."""

from pathlib import Path
from typing import Any

import click

from engine.words import trimmed
from spr_cli.options import AS_JSON, leave_out


@click.command()
@click.argument("target", metavar="COLLECTION|PAGE")
@click.argument("queries", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--collection", default="", help="Its name at PAGE.  [default: the first]")
@click.option("--port", default=7400, show_default=True, help="With COLLECTION: the coordinator's port.")
@AS_JSON
def command(target: str, queries: Path, collection: str, port: int, as_json: bool) -> None:
    """Hand QUERIES to the web page, and print where they are judged.

    COLLECTION is a directory, which is served until Ctrl-C; PAGE is the address of a running page. QUERIES is
    a text, a query a line, or JSON lines with "query". Judgements are kept one by one: run the command again
    to go on. Train on them with `spr train ranker --feedback`.

    \b
    spr annotate c queries.txt
    spr annotate http://127.0.0.1:7480 queries.jsonl --collection lectures
    """
    found = queries_of(queries)
    if Path(target).is_dir():
        _serve(Path(target), port, lambda page: _tell(page, found, collection, as_json))
    else:
        leave_out("the page runs already", "port")
        _tell(target if "://" in target else f"http://{target}", found, collection, as_json)


def queries_of(path: Path) -> list[str]:
    """Return the queries of a file, each once; InvalidInput names what cannot be used."""
    from engine.errors import InvalidInput
    from trainer.formats.lines import read_lines

    if path.suffix in (".jsonl", ".json"):
        rows = [(where, row.get("query")) for where, row in read_lines(path)]
    else:
        try:
            lines = path.read_text(encoding="utf-8-sig").split("\n")
        except UnicodeDecodeError:
            raise InvalidInput(f"{path} is not UTF-8 text; save it as UTF-8 and try again.") from None
        rows = [(f"{path}: line {number}", line) for number, line in enumerate(lines, 1) if trimmed(line)]
    for where, query in rows:
        if not isinstance(query, str) or not trimmed(query):
            raise InvalidInput(f'{where} has no query; write {{"query": "..."}}.')
    if not rows:
        raise InvalidInput(f"{path} holds no query; write one a line.")
    return list(dict.fromkeys(" ".join(str(query).split()) for _, query in rows))


def _serve(collection: Path, port: int, ready: Any) -> None:
    from spr_cli.serve import supervise
    from spr_cli.serve_topology import read_topology, with_page

    topology = with_page(read_topology(None, (collection,), port), None, False)
    supervise(topology, lambda read: read, lambda line: ready(str(line["page"])), False)


def _tell(page: str, queries: list[str], collection: str, as_json: bool) -> None:
    """Hand queries to a page, and print the address at which they are judged."""
    import json
    from urllib.parse import urlencode

    page = page.rstrip("/")
    answer = _posted(f"{page}/api/sets", {"queries": queries})
    where = {"set": answer["set"], **({"c": collection} if collection else {})}
    link = f"{page}/annotate?{urlencode(where)}"
    if as_json:
        click.echo(json.dumps({"queries": answer["queries"], "page": link}))
    else:
        click.echo(f"{answer['queries']} queries to judge at {link}")


def _posted(url: str, value: Any) -> Any:
    import json
    import urllib.error
    import urllib.request
    from http.client import HTTPException

    from engine.errors import InvalidInput, Unavailable
    from spr_cli.reaching import why_not

    body, headers = json.dumps(value).encode(), {"content-type": "application/json"}
    if not url.startswith(("http://", "https://")):
        raise InvalidInput(f"{url} is no page; write its address, such as http://127.0.0.1:7480.")
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as reply:
            return json.loads(reply.read())
    except urllib.error.HTTPError as error:
        with error:
            try:
                said = json.loads(error.read())["error"]["message"]
            except (ValueError, LookupError, TypeError):
                said = f"it answered {error.code}; is it the page of `spr serve`?"
        raise InvalidInput(f"{url} refused the queries: {said}") from None
    except (OSError, HTTPException, ValueError) as error:
        message = (
            f"no page answers at {url} ({why_not(error)}): start one with `spr serve`, or name a collection."
        )
        raise Unavailable(message) from None
