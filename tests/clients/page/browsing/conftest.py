"""One browser, with one tab, for all tests of this folder."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.page.browsing.tabs import WATCH
from tests.clients.page.conftest import Page

PATIENCE = 120_000  # milliseconds: on one busy core a click takes a browser half a minute


@pytest.fixture(scope="package")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium here; install the package chromium")
    return found


# Playwright's loop runs in this thread as long as it is open: other folders' tests have loops of their own.
@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    # Without a graphics card its emulation costs more than drawing in software does.
    flags = ["--no-sandbox", "--disable-gpu", "--disable-software-rasterizer", "--disable-gpu-compositing"]
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium, args=flags)


@pytest.fixture(scope="package")
def one_tab(browser: Any, page: Page) -> Iterator[tuple[Any, list[str]]]:
    """A tab, and what its pages complain of."""
    from playwright.sync_api import expect

    context = browser.new_context(base_url=page.address)
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    context.add_init_script(WATCH)
    one, wrong = context.new_page(), list[str]()
    one.on("pageerror", lambda error: wrong.append(str(error)))
    one.on("console", lambda said: wrong.append(said.text) if "Content Security" in said.text else None)
    yield one, wrong
    context.close()


@pytest.fixture
def tab(one_tab: tuple[Any, list[str]], page: Page) -> Iterator[Any]:
    """A tab as a first visit finds it. Opening another for each test costs more than most tests do."""
    tab, wrong = one_tab
    tab.set_viewport_size({"width": 1280, "height": 800})
    tab.emulate_media(color_scheme="null", reduced_motion="null")
    wrong.clear()
    yield tab
    tab.unroute_all(behavior="ignoreErrors")
    # What is still asked for ends here. A page of another origin, and the next one, would be a process each.
    tab.goto("/api/examples/none")
    devtools = tab.context.new_cdp_session(tab)
    devtools.send("Storage.clearDataForOrigin", {"origin": page.address, "storageTypes": "all"})
    devtools.detach()
    assert wrong == []
