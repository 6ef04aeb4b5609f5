"""A tab of a real Chromium, and what a person does in it."""

from typing import Any

import pytest

from tests.workers.ranker.factories import TEXTS

Tab = Any

# Every stage that the list of results goes through, as a person would see it; where the video was set to.
WATCH = """
window.stages = [];
addEventListener("seeked", event => { window.landed = event.target.currentTime }, true);
addEventListener("DOMContentLoaded", () => new MutationObserver(() => {
  const stage = document.querySelector("main")?.dataset.stage;
  if (stage && window.stages.at(-1) !== stage) window.stages.push(stage);
}).observe(document, { subtree: true, childList: true, attributes: true }));
"""


def expect(shown: Any) -> Any:
    """Return Playwright's assertions of it, loaded where it is needed: not by all who collect this module."""
    from playwright.sync_api import expect as expected

    return expected(shown)


def ask(tab: Tab, text: str = TEXTS[0]) -> None:
    tab.goto("/")
    tab.get_by_label("Describe a moment").fill(text)
    tab.keyboard.press("Enter")
    expect(tab.locator("main[data-stage=refined]")).to_be_visible()


def boxes(tab: Tab, *parts: str) -> list[dict[str, float]]:
    """Return where parts of the page are, at one moment: what comes above them moves them."""
    at = "parts => parts.map(part => document.querySelector(part).getBoundingClientRect().toJSON())"
    found: list[dict[str, float]] = tab.evaluate(at, parts)
    return found


# What a dark screen changes: colours alone.
CONTRAST = "() => axe.run({ runOnly: ['color-contrast'], resultTypes: ['violations'] })"


def serious(tab: Tab, where: str) -> list[str]:
    """Return what keeps people out of what is shown, on a light and on a dark screen."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is missing"
    )
    tab.emulate_media(color_scheme="light", reduced_motion="reduce")
    violations = axe.Axe().run(tab).response["violations"]
    tab.emulate_media(color_scheme="dark", reduced_motion="reduce")
    violations += tab.evaluate(CONTRAST)["violations"]
    return [
        f"{where}: {one['id']}: {one['nodes'][0]['html']}"
        for one in violations
        if one["impact"] in ("serious", "critical")
    ]
