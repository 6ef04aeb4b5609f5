"""Writes docs/metrics.md: `python -m engine.metrics_page > docs/metrics.md`."""

from engine.metrics import ALL

HEAD = """# Metrics

Reference, written by `python -m engine.metrics_page`. Beside these every process exports
`process_*`: CPU, memory, file descriptors, start. How to use them:
[serving](serving.md#watching-it).
"""


def page() -> str:
    """Return the page: a table for each group of processes."""
    text = HEAD
    for of in dict.fromkeys(about.of for about in ALL):
        text += f"\n## {of.capitalize()}\n\n| metric | kind | meaning |\n|---|---|---|\n"
        for about in ALL:
            if about.of == of:
                labels = f"{{{', '.join(about.labels)}}}" if about.labels else ""
                text += f"| `{about.name}{labels}` | {about.kind} | {about.help} |\n"
    return text


if __name__ == "__main__":
    print(page(), end="")
