"""Which version another came from."""

from pathlib import Path

from engine.lineage import before
from tests.trainer.library.tiny import write_part, write_version


def test_a_rollback_goes_past_compactions(tmp_path: Path) -> None:
    """They change no answer: who rolls back means what was done before them."""
    made = [write_version(tmp_path, [write_part(tmp_path, ["a"])], reason="build")]
    for reason in ("delete", "compact", "compact"):
        made.append(write_version(tmp_path, made[0].parts, made[-1].id, reason))
    assert before(tmp_path, made[-1]) == made[0].id
    assert before(tmp_path, made[0]) == ""
