"""Generate the client's TypeScript: `python clients/node/generate.py OUT`; needs `npm ci` in its folder."""

import sys
from pathlib import Path

from google.rpc import error_details_pb2
from grpc_tools import protoc

HERE = Path(__file__).parent
PROTOS = HERE.parents[1] / "protos"
# One spelling of every choice: plain interfaces, unions for oneof, calls of grpc-js, no JSON.
SETTINGS = [
    "env=node",
    "esModuleInterop=true",
    "importSuffix=.js",
    "oneof=unions-value",
    "outputServices=grpc-js",
    "outputJsonMethods=false",
    "useExactTypes=false",
    "outputIndex=false",
    "annotateFilesWithVersion=false",
]


def generate(out: Path) -> None:
    """Write the modules of spr.v1, and of the details that its errors carry, under `out`."""
    out.mkdir(parents=True, exist_ok=True)
    well_known = Path(protoc.__file__).parent / "_proto"
    details = Path(error_details_pb2.__file__).parents[2]
    arguments = [
        "protoc",
        f"-I{PROTOS}",
        f"-I{well_known}",
        f"-I{details}",
        f"--plugin=protoc-gen-ts_proto={HERE / 'node_modules' / '.bin' / 'protoc-gen-ts_proto'}",
        f"--ts_proto_out={out}",
        f"--ts_proto_opt={','.join(SETTINGS)}",
    ]
    # Operators have `spr admin`: the client searches.
    public = [path for path in sorted((PROTOS / "spr" / "v1").glob("*.proto")) if "admin" not in path.name]
    sources = [*public, Path("google/rpc/error_details.proto")]
    if protoc.main([*arguments, *map(str, sources)]) != 0:
        raise SystemExit("protoc failed")


if __name__ == "__main__":
    generate(Path(sys.argv[1]))
