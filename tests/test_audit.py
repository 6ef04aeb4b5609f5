"""What the audit makes of pip-audit's reports."""

from pathlib import Path
from typing import Any

import pytest

from tests import audit

SOUND: dict[str, Any] = {"name": "click", "version": "8.4.0", "vulns": []}
BAD: dict[str, Any] = {
    "name": "pillow",
    "version": "9.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["9.1"], "aliases": [], "description": ""}],
}
UNKNOWN: dict[str, Any] = {"name": "torch", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(
    ("dependencies", "lines", "code"),
    [
        ([SOUND], ["1 dependencies audited, 0 vulnerabilities"], 0),
        (
            [SOUND, BAD, UNKNOWN],
            [
                "pillow 9.0: PYSEC-1, fixed in 9.1",
                "2 dependencies audited, 1 vulnerabilities, 1 unknown to the database (torch)",
            ],
            1,
        ),
        ([UNKNOWN], [audit.UNREACHED], 2),
    ],
)
def test_a_report_is_judged(dependencies: list[dict[str, Any]], lines: list[str], code: int) -> None:
    assert audit.judged({"dependencies": dependencies}) == (lines, code)


def test_without_a_database_it_says_so_and_fails_only_if_told_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = str(tmp_path / "pip-audit")
    assert (audit.main([nothing]), audit.main([nothing, "--strict"])) == (0, 2)
    assert capsys.readouterr().out.splitlines() == [audit.UNREACHED] * 2
