"""One query as moment retrieval's JSON lines have it."""

import json
from pathlib import Path
from typing import Any

ROW = {
    "qid": 2579,
    "query": "A girl and her mother cooked.",
    "duration": 150,
    "vid": "NUsG9BgSes0_210.0_360.0",
    "relevant_clip_ids": [41, 42, 43, 44, 60],
    "saliency_scores": [[4, 1, 1], [4, 1, 1], [4, 2, 1], [4, 3, 2], [0, 0, 1]],
    "relevant_windows": [[82, 90], [120, 122], [30, 40]],
}


def written(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
