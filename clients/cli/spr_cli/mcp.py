"""`spr mcp`: search for assistants that speak the Model Context Protocol."""

import json
import os
import shutil
import signal
import sys

import click

from spr_cli.options import ADDRESS, WORDS, access

_PASSED_ON = ("SPR_CA", "SPR_CERT", "SPR_KEY", "SPR_TOKEN_FILE")


@click.command()
@click.option("--address", type=ADDRESS, default="127.0.0.1:7400", show_default=True, help="The coordinator.")
@click.option("--admin", type=ADDRESS, default="127.0.0.1:7401", show_default=True, help="Its admin port.")
@click.option("--page", type=WORDS, default="", help="Address of the web page, for links: http://HOST:PORT.")
@click.option("--config", is_flag=True, help="Print what to paste into an assistant's settings.")
@access
def command(address: str, admin: str, page: str, config: bool) -> None:
    """Serve search, explain and list_collections on standard input and output (MCP).

    An assistant starts it by itself. It is sent text and links into the page, never pictures or video.

    \b
    spr mcp --page http://127.0.0.1:7480 --config
    """
    if page and not page.startswith(("http://", "https://")):
        raise click.UsageError(f"--page is {page!r}; it must begin with http:// or https://")
    if config:
        click.echo(json.dumps(_settings(address, admin, page), indent=2))
        return
    try:
        from spr_gateway.tools import serve
    except ModuleNotFoundError as error:
        from engine.errors import InvalidInput

        raise InvalidInput(
            f'spr mcp needs {error.name}; install it with: pip install "spr-engine[mcp]"'
        ) from None
    # A thread waits for the next line, and asyncio, asked by Ctrl-C, for that thread.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    serve([address], admin, page)


def _settings(address: str, admin: str, page: str) -> dict[str, object]:
    """Return the settings; of who calls they name files, never hold a token."""
    words = ["mcp", "--address", address, "--admin", admin, *(["--page", page] if page else [])]
    files = {name: value for name in _PASSED_ON if (value := os.environ.get(name))}
    entry = {"command": shutil.which("spr") or os.path.abspath(sys.argv[0]), "args": words}
    return {"mcpServers": {"spr": entry | ({"env": files} if files else {})}}
