"""Known vulnerabilities of the pinned dependencies: `python -m tests.audit PIP_AUDIT [--strict]`.

Asks pip-audit's database (PyPI's) about every line of constraints.txt. Exit code: 1 where a vulnerability is
known; 0 where none is, or where no database answers, which is said; with --strict 2 for that.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
UNREACHED = "no vulnerability database answers here, so nothing was audited: run it where PyPI is reachable"
LONGEST = 600  # seconds


def main(argv: Sequence[str] | None = None) -> int:
    """Audit, print what is found, and return the exit code."""
    parser = argparse.ArgumentParser(description="Audit the pinned dependencies.")
    parser.add_argument("pip_audit", help="the program")
    parser.add_argument("--strict", action="store_true", help="exit with 2 where no database answers")
    options = parser.parse_args(argv)
    report = _asked(options.pip_audit)
    lines, code = ([UNREACHED], 2) if report is None else judged(report)
    print("\n".join(lines))
    return 0 if code == 2 and not options.strict else code


def _asked(program: str) -> Mapping[str, Any] | None:
    """Return pip-audit's report; None where there is none."""
    form = ["--format", "json", "--progress-spinner", "off", "--no-deps", "--disable-pip"]
    command = [program, "--requirement", str(CONSTRAINTS), *form]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONGEST)
        report: Mapping[str, Any] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return report


def judged(report: Mapping[str, Any]) -> tuple[list[str], int]:
    """Return what a report of pip-audit says, a line each, and the exit code."""
    asked = [one for one in report["dependencies"] if "skip_reason" not in one]
    skipped = [one["name"] for one in report["dependencies"] if "skip_reason" in one]
    if not asked:
        return [UNREACHED], 2
    lines = [
        f"{one['name']} {one['version']}: {found['id']}, fixed in {', '.join(found['fix_versions']) or '-'}"
        for one in asked
        for found in one["vulns"]
    ]
    unknown = f", {len(skipped)} unknown to the database ({', '.join(skipped)})" if skipped else ""
    counted = f"{len(asked)} dependencies audited, {len(lines)} vulnerabilities{unknown}"
    return [*lines, counted], 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
