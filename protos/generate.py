"""Generate the Python code of every .proto, and the descriptor image that buf checks.

`python protos/generate.py OUT` writes code and stubs under OUT (`make protos`: in place);
`python protos/generate.py --image FILE` writes all descriptors, imports included, to one file.
"""

import sys
import sysconfig
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).parent


def _protoc(*outputs: str) -> None:
    # Nothing but this folder and what every protoc brings: google/rpc/status.proto lies here too.
    well_known = Path(protoc.__file__).parent / "_proto"
    includes = [f"-I{ROOT}", f"-I{well_known}"]
    sources = [str(p) for p in sorted((ROOT / "spr").rglob("*.proto"))]
    if protoc.main(["protoc", *includes, *outputs, *sources]) != 0:
        raise SystemExit("protoc failed")


def generate(out: Path) -> None:
    """Write *_pb2.py, *_pb2_grpc.py and their stubs of all protos under `out`."""
    # By their place: the environment's scripts need not be on PATH.
    scripts = Path(sysconfig.get_path("scripts"))
    plugins = [f"--plugin={scripts / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")]
    stubs = [f"--mypy_out=quiet:{out}", f"--mypy_grpc_out=quiet:{out}"]
    _protoc(*plugins, f"--python_out={out}", f"--grpc_python_out={out}", *stubs)


def image(file: Path) -> None:
    """Write the descriptor image of all protos to `file`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    _protoc("--include_imports", f"--descriptor_set_out={file}")


if __name__ == "__main__":
    if sys.argv[1] == "--image":
        image(Path(sys.argv[2]))
    else:
        generate(Path(sys.argv[1]))
