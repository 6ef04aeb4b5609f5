"""The generated code that is committed is what the protos generate."""

import subprocess
import sys
from pathlib import Path

PROTOS = Path(__file__).parents[2] / "protos"


def generated(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*_pb2*.py*")}


def test_the_committed_code_is_current(tmp_path: Path) -> None:
    subprocess.run([sys.executable, PROTOS / "generate.py", tmp_path], check=True, timeout=120)
    fresh = generated(tmp_path)
    committed = {name: data for name, data in generated(PROTOS).items() if "__pycache__" not in name}
    assert sorted(fresh) == sorted(committed)
    stale = [name for name, data in fresh.items() if committed[name] != data]
    assert not stale, f"run `make protos`: {stale}"
