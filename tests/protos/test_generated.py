"""The generated code that is committed is what the protos generate."""

import shutil
import subprocess
import sys
from pathlib import Path

PROTOS = Path(__file__).parents[2] / "protos"


def generated(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*_pb2*.py*")}


def test_the_protos_compile_alone(tmp_path: Path) -> None:
    protos = tmp_path / "protos"
    shutil.copytree(PROTOS, protos, ignore=shutil.ignore_patterns("*.py", "*.pyi", "__pycache__"))
    public = [str(path) for path in (protos / "spr" / "v1").glob("*.proto")]
    # protoc's own include folder has google/protobuf and nothing else.
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{protos}", f"--python_out={tmp_path}", *public]
    subprocess.run(command, check=True, timeout=60)
    assert (tmp_path / "spr" / "v1" / "search_service_pb2.py").is_file()


def test_the_committed_code_is_current(tmp_path: Path) -> None:
    subprocess.run([sys.executable, PROTOS / "generate.py", tmp_path], check=True, timeout=120)
    fresh = generated(tmp_path)
    committed = {name: data for name, data in generated(PROTOS).items() if "__pycache__" not in name}
    assert sorted(fresh) == sorted(committed)
    stale = [name for name, data in fresh.items() if committed[name] != data]
    assert not stale, f"run `make protos`: {stale}"
