"""Pictures of the demo for the docs: `python -m recipes.images [--demo DIR] [--page URL] [--out DIR]`.

A real Chromium shows the page of a served demo, and its report; each picture is a small WebP file.
"""

import argparse
import contextlib
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from recipes.demo import serving

PAGE = "http://127.0.0.1:7480"
QUERY = "something green spins"
WIDTH, HEIGHT = 1280, 800
LARGEST = 300_000  # bytes


def main() -> None:
    """Serve the demo, unless a page is named, and write every picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path, default=Path("build/demo"))
    parser.add_argument("--page", help="Of a service that runs; else the demo is served.")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with contextlib.nullcontext() if options.page else serving(options.demo), browser() as chromium:
        tab = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        pictures = {
            **of_page(tab, options.page or PAGE),
            "eval": of_report(tab, options.demo / "report.html"),
        }
    pictures["report"] = (options.demo / "report.png").read_bytes()
    for name, picture in pictures.items():
        path = options.out / f"{name}.webp"
        path.write_bytes(small(picture))
        print(f"{path}: {path.stat().st_size:,} bytes")


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """Yield the Chromium that is installed."""
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        raise SystemExit("There is no Chromium here; install the package chromium.")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def of_page(tab: Any, page: str) -> dict[str, bytes]:
    """Return pictures of an answer, and of its first moment as it plays."""
    tab.goto(page)
    tab.get_by_label("Describe a moment").fill(QUERY)
    tab.keyboard.press("Enter")
    tab.locator("main[data-stage=refined]").wait_for()
    every = "() => [...document.querySelectorAll('[data-card] img')].slice(0, 6).every(i => i.naturalWidth)"
    tab.wait_for_function(every)
    found = tab.screenshot()
    tab.locator("[data-card]").first.click()
    tab.wait_for_function(
        "() => { const v = document.querySelector('video'); return v && v.currentTime > 0 }"
    )
    tab.locator(".curve path").wait_for(state="attached")
    # A pause, so that the picture is of a frame and not of a moment between two.
    tab.wait_for_timeout(1000)
    return {"search": found, "moment": tab.screenshot()}


def of_report(tab: Any, report: Path) -> bytes:
    """Return a picture of the worst queries' timelines."""
    tab.goto(report.resolve().as_uri())
    tab.evaluate("document.getElementById('worst').scrollIntoView()")
    return bytes(tab.screenshot())


def small(picture: bytes) -> bytes:
    """Return a PNG as WebP of at most `LARGEST` bytes."""
    with Image.open(io.BytesIO(picture)) as image:
        for quality in (90, 80, 65, 50):
            out = io.BytesIO()
            image.save(out, "WEBP", quality=quality, method=6)
            if out.tell() <= LARGEST:
                break
    return out.getvalue()


if __name__ == "__main__":
    main()
