"""The service from elsewhere than the page: tools of an assistant, an answer in a notebook."""

import asyncio
import json
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Awaitable, Callable
from html.parser import HTMLParser
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import av
import pytest
from click.testing import CliRunner

from engine.errors import InvalidInput, Unavailable
from spr_cli import mcp as mcp_command
from spr_cli import search, search_pictures
from spr_cli.main import cli
from spr_client import Client, Curve
from spr_client import Unavailable as Unreached
from spr_client.display import table
from spr_gateway.upstream import Upstream
from tests.clients.exports.films import answer, moment
from tests.clients.page.conftest import Page

if TYPE_CHECKING:
    # Loaded by the tests that use it: a second of each worker that collects this file.
    import mcp

QUERY = "a red ball bounces"


def through(page: Page, ask: "Callable[[mcp.Client], Awaitable[Any]]", admin: str = "") -> Any:
    """Return what `ask` brings from the tools of the page's service."""

    import mcp

    from spr_gateway.tools import server

    async def run() -> Any:
        upstream = Upstream([page.coordinator], admin or page.admin)
        try:
            async with mcp.Client(server(upstream, page.address)) as client:
                return await ask(client)
        finally:
            await upstream.close()

    return asyncio.run(run())


def test_tools_search_explain_and_list_as_text_with_links(page: Page) -> None:
    async def ask(client: "mcp.Client") -> Any:
        assert client.server_info
        assert client.server_info.version == version("spr-engine")
        tools = (await client.list_tools()).tools
        # As a person would read them: a model pays for every blank.
        assert not any("\n  " in str(tool.description) for tool in tools)
        names = [tool.name for tool in tools]
        found = await client.call_tool("search", {"query": QUERY, "limit": 2})
        why = await client.call_tool("explain", {"query": QUERY, "video": "talk"})
        held = await client.call_tool("list_collections", {})
        return names, found, why, held

    names, found, why, held = through(page, ask)
    assert names == ["search", "explain", "list_collections"]
    assert {block.type for reply in (found, why, held) for block in reply.content} == {"text"}
    moments = found.structured_content["moments"]
    assert len(moments) == 2
    assert "said" in {one["channel"] for moment in moments for one in moment["foundBy"]}
    assert page.get(moments[0]["link"].removeprefix(page.address)).status == 200
    assert "q=a+red+ball+bounces" in moments[0]["link"]
    assert why.structured_content["video"] == "talk"
    assert len(why.structured_content["frames"]["values"]) == 24
    assert held.structured_content["collections"][0]["videos"] == 3


def test_tools_refuse_in_a_sentence(page: Page) -> None:
    async def ask(client: "mcp.Client") -> Any:
        return (
            await client.call_tool("search", {"query": "", "limit": 2}),
            await client.call_tool("explain", {"query": QUERY, "video": "nobody"}),
            await client.call_tool("list_collections", {}),
        )

    for reply, said in zip(through(page, ask, "127.0.0.1:1"), ("empty", "nobody", "spr serve"), strict=True):
        assert reply.is_error
        assert said in reply.content[0].text


def test_a_long_curve_is_sent_coarser_with_its_peaks() -> None:
    from spr_gateway.tools import _coarser

    made = _coarser(Curve(1.0, tuple(float(n == 999) for n in range(1000))))
    assert made is not None
    assert (made.step, len(made.values), made.values[111]) == (9.0, 112, 1.0)


def test_the_command_prints_settings_without_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPR_TOKEN", "secret")
    words = ["--config", "--page", "http://127.0.0.1:7480", "--ca", "ca.pem"]
    said = CliRunner().invoke(mcp_command.command, words).stdout
    entry = json.loads(said)["mcpServers"]["spr"]
    assert entry["args"][:3] == ["mcp", "--address", "127.0.0.1:7400"]
    assert entry["env"] == {"SPR_CA": "ca.pem"}
    assert "secret" not in said
    monkeypatch.setitem(sys.modules, "spr_gateway.tools", None)
    refused = CliRunner().invoke(mcp_command.command, [])
    assert isinstance(refused.exception, InvalidInput)
    assert 'pip install "spr-engine[mcp]"' in str(refused.exception)


def test_the_command_cuts_what_a_service_finds(page: Page, tmp_path: Path) -> None:
    # The service tells names of files alone, which is its default.
    where = ["--address", page.coordinator, "--media", str(page.videos), "--top", "3"]
    kept = ["--export", str(tmp_path / "clips"), "--format", "fcp7xml", "--out", str(tmp_path / "x.xml")]
    result = CliRunner().invoke(search.command, [QUERY, *where, *kept])
    assert result.exit_code == 0, result.stderr
    clips = json.loads((tmp_path / "clips" / "manifest.json").read_text())["clips"]
    assert len(clips) == 3
    for clip in clips:
        with av.open(tmp_path / "clips" / clip["file"]) as made:
            times = [float(frame.time or 0) for frame in made.decode(video=0)]
        # Within a frame of the moment, which is what both ends are rounded to: a seventh of a second.
        assert clip["begins"] <= clip["start"] + 1e-3
        assert clip["begins"] + times[-1] >= clip["end"] - 0.15
    found = ElementTree.parse(tmp_path / "x.xml").findall(".//video/track/clipitem")
    assert [clip.findtext("name") for clip in found] == [Path(clip["source"]).name for clip in clips]


class _Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_a_notebook_shows_thumbnails_and_links(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    with Client(page.coordinator) as client:
        found = client.search(QUERY, page_size=2)
    monkeypatch.setenv("SPR_PAGE", page.address)
    tags = _Tags(found._repr_html_()).found
    pictures = [str(about["src"]) for tag, about in tags if tag == "img"]
    links = [str(about["href"]) for tag, about in tags if tag == "a"]
    assert len(pictures) == len(links) == 2
    for picture, one in zip(pictures, found.moments, strict=True):
        second = (one.start + one.end) / 2 if one.best is None else one.best
        shown = page.get(f"/thumb/{one.video}?t={second:.1f}&size=120").body
        assert picture == f"data:image/jpeg;base64,{b64encode(shown).decode()}"
    assert page.get(links[0].removeprefix(page.address)).status == 200
    monkeypatch.delenv("SPR_PAGE")
    assert not {"img", "a"} & {tag for tag, _ in _Tags(found._repr_html_()).found}


def test_names_in_a_notebook_are_text(page: Page) -> None:
    found = answer(moment('<img src=x onerror="x">', 1.0, 2.0))
    for address in ("", page.address, "http://127.0.0.1:1", "javascript:alert(1)"):
        html = table(found, address)
        assert "&lt;img src=x" in html
        assert "img" not in {tag for tag, _ in _Tags(html).found}
        assert "javascript" not in html


def test_open_prints_the_address_of_an_answer_where_there_is_no_browser(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    words = ["open", "a & b?", "--page", page.address]
    said = CliRunner().invoke(cli, [*words, *([] if sys.platform == "linux" else ["--print"])])
    assert (said.exit_code, said.output) == (0, f"{page.address}/?q=a+%26+b%3F\n")
    opened: list[str] = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("webbrowser.open", lambda address: not opened.append(address))  # type: ignore[func-returns-value]
    assert CliRunner().invoke(cli, words).output.startswith("opened http")
    assert opened == [f"{page.address}/?q=a+%26+b%3F"]
    assert json.loads(CliRunner().invoke(cli, [*words, "--json"]).output) == {"page": opened[0]}


def test_a_port_for_searches_is_told_from_a_page(page: Page, tmp_path: Path) -> None:
    (tmp_path / "queries.txt").write_text("a ball\n")
    here = f"http://{page.coordinator}"
    for words in (["open", "--page", here], ["annotate", here, str(tmp_path / "queries.txt")]):
        done = CliRunner().invoke(cli, words)
        assert isinstance(done.exception, Unavailable)
        assert "what answers is no web page" in str(done.exception)
    with (
        Client(page.address.removeprefix("http://")) as client,
        pytest.raises(Unreached, match="it is a web page's"),
    ):
        client.search("a ball", timeout=60)


def test_pictures_come_from_the_page(
    page: Page, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Client(page.coordinator) as client:
        found = client.search(QUERY, page_size=2, timeout=60)
    search_pictures.show(found, page.address)
    assert "no terminal that shows pictures" in capsys.readouterr().err
    monkeypatch.setattr(search_pictures, "protocol", lambda _: "iterm2")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(search_pictures, "PATIENCE", 60.0)
    search_pictures.show(found, page.address)
    assert capsys.readouterr().out.count("\x1b]1337;File=inline=1") == len(found.moments) == 2
    search_pictures.show(found, "http://127.0.0.1:1")
    assert "no picture comes from http://127.0.0.1:1" in capsys.readouterr().err


def test_ctrl_c_ends_the_tools_though_a_line_is_waited_for() -> None:
    words = [sys.executable, "-m", "spr_cli.main", "mcp", "--address", "127.0.0.1:1"]
    begin = {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    asked = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": begin}
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(json.dumps(asked) + "\n")
        running.stdin.flush()
        assert json.loads(running.stdout.readline())["id"] == 1
        running.send_signal(signal.SIGINT)
        try:
            assert running.wait(30) == -signal.SIGINT
        finally:
            running.kill()
