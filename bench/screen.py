"""What a person waits for: from Enter to the first moments on the screen, and to the refined ones.

    python -m bench.screen [http://127.0.0.1:7480/] [--queries 20] [--json]

A real Chromium asks the page of a running service. Of every query: milliseconds until the coarse list
and until the refined one are painted; beside it what a bare request over the same gateway takes, and what
the service says that it took of that. A query is asked once: nothing of it is cached.
"""

import argparse
import json
import shutil
import statistics
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from typing import Any

SUBJECTS = ("a red ball", "a blue square", "a green star", "two yellow crosses", "a big purple triangle")
DOINGS = ("bounces", "moves to the left", "spins", "grows", "rests on a dark background", "falls")
GOALS = {"coarse": 150.0, "refined": 400.0}

# Kept from the key to the frame that shows it: Element Timing says of a sign that is put beside the list
# when its frame was presented.
_WATCH = """
window.spr = null;
addEventListener("keydown", event => {
  if (event.key !== "Enter") return;
  const now = window.spr = { began: performance.now(), waited: false };
  now.ended = new Promise(done => { now.end = done; setTimeout(done, 60000); });
}, true);
new PerformanceObserver(list => {
  for (const { identifier, renderTime, element } of list.getEntries()) {
    window.spr[identifier] = renderTime - window.spr.began;
    element?.remove();
    if (identifier === "refined") window.spr.end();
  }
}).observe({ type: "element" });
addEventListener("DOMContentLoaded", () => new MutationObserver(() => {
  const main = document.querySelector("main"), now = window.spr;
  if (!now || !main) return;
  if (document.querySelector(".note.bad")) now.end();
  const stage = main.dataset.stage;
  if (stage === "waiting") now.waited = true;
  if (!now.waited || now[stage] !== undefined || !document.querySelector("[data-card]")) return;
  now[stage] = null;
  const sign = document.createElement("i");
  sign.setAttribute("elementtiming", stage);
  sign.textContent = stage;
  sign.style.cssText = "position: fixed; right: 0; bottom: 0";
  document.body.append(sign);
}).observe(document, { subtree: true, childList: true, attributes: true }));
"""


def sentences(count: int) -> list[str]:
    """Return so many sentences about the demo's world, all different."""
    made = [f"{subject} {doing}" for doing in DOINGS for subject in SUBJECTS]
    return [made[k % len(made)] + (f", {k // len(made)}" if k >= len(made) else "") for k in range(count)]


def measured(address: str, queries: Sequence[str]) -> list[dict[str, float]]:
    """Return milliseconds of each query: coarse, refined."""
    from playwright.sync_api import Error, sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("screen: no Chromium here; install the package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 800})
        tab.add_init_script(_WATCH)
        try:
            tab.goto(address)
            rows = [_asked(tab, query) for query in ("warm up", *queries)]
        except Error as error:
            sys.exit(f"screen: the page at {address} shows no answer: {error.message.splitlines()[0]}")
        browser.close()
    return rows[1:]


def _asked(tab: Any, query: str) -> dict[str, float]:
    """Type one query; return when its lists were painted."""
    tab.get_by_label("Describe a moment").fill(query)
    tab.keyboard.press("Enter")
    # Asking again and again whether it is there would take time from the page.
    tab.evaluate("window.spr.ended")
    if (wrong := tab.locator(".note.bad p")).count():
        sys.exit(f"screen: the page answers {query!r} with: {wrong.inner_text()}")
    tab.wait_for_load_state("networkidle")
    found: dict[str, float] = tab.evaluate("({coarse: window.spr.coarse, refined: window.spr.refined})")
    if None in found.values():
        sys.exit(f"screen: the page shows no refined list of {query!r} within a minute; see if it finds any")
    return found


def bare(address: str, queries: Sequence[str]) -> list[dict[str, float]]:
    """Return milliseconds of each query without a browser, and those that the service says of itself."""
    rows = list[dict[str, float]]()
    for query in queries:
        began = time.perf_counter()
        row = dict[str, float]()
        with urllib.request.urlopen(f"{address}api/search?{urllib.parse.urlencode({'q': query})}") as reply:
            for line in reply:
                answer = json.loads(line)
                row[answer["stage"]] = 1000 * (time.perf_counter() - began)
                row[f"service {answer['stage']}"] = sum(
                    took for stage, took in answer["took"].items() if not stage.startswith("shard")
                )
        rows.append(row)
    return rows


def summary(rows: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return median and 90th percentile of each column."""
    found = dict[str, dict[str, float]]()
    for name in rows[0]:
        values = sorted(row[name] for row in rows)
        ninth = values[min(len(values) - 1, int(0.9 * len(values)))]
        found[name] = {"median": round(statistics.median(values), 1), "p90": round(ninth, 1)}
    return found


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("address", nargs="?", default="http://127.0.0.1:7480/")
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args()
    address = options.address.rstrip("/") + "/"
    asked = sentences(2 * options.queries)
    # Other sentences than the page's: nothing of them is cached.
    report: dict[str, Any] = {
        "screen": summary(measured(address, asked[: options.queries])),
        "bare": summary(bare(address, asked[options.queries :])),
    }
    if options.as_json:
        print(json.dumps(report))
        return
    for way, columns in report.items():
        for name, figures in columns.items():
            goal = f"  goal {GOALS[name]:.0f}" if way == "screen" else ""
            print(f"{way:8}{name:18} median {figures['median']:7.1f} ms  p90 {figures['p90']:7.1f} ms{goal}")


if __name__ == "__main__":
    main()
