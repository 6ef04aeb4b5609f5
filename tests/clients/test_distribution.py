"""The client's own distributions, as its build backend makes them."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

CLIENT = Path(__file__).parents[2] / "clients" / "python"
MESSAGES = ("spr/__init__.py", "spr/py.typed", "spr/v1/types_pb2.py", "spr/v1/search_service_pb2_grpc.py")


def built(kind: str, source: Path, out: Path) -> Path:
    """Build a distribution in `source`, as front ends call the backend; no network is asked."""
    call = f"from hatchling.build import build_{kind}; print(build_{kind}({str(out)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", call], cwd=source, check=True, capture_output=True, text=True
    )
    return out / done.stdout.split()[-1]


def test_a_source_distribution_holds_the_messages_and_builds_the_same_wheel(tmp_path: Path) -> None:
    sdist = built("sdist", CLIENT, tmp_path)
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
        archive.extractall(tmp_path / "unpacked", filter="data")
    root = names[0].partition("/")[0]
    assert {f"{root}/{name}" for name in (*MESSAGES, "spr_client/__init__.py", "README.md")} <= set(names)
    assert not any("internal" in name or "__pycache__" in name for name in names)
    contents = []
    for number, source in enumerate((CLIENT, tmp_path / "unpacked" / root)):
        out = tmp_path / str(number)
        out.mkdir()
        with zipfile.ZipFile(built("wheel", source, out)) as wheel:
            contents.append({name: wheel.read(name) for name in wheel.namelist() if ".dist-info" not in name})
    assert contents[0] == contents[1]
    assert set(MESSAGES) <= contents[0].keys()


def test_a_wheel_of_the_source_distribution_works_alone(tmp_path: Path) -> None:
    wheel = built("wheel", CLIENT, tmp_path)
    script = "import spr, spr.v1, spr_client; print(spr.__file__, spr_client.__file__)"
    code = f"import sys; sys.path.insert(0, {str(wheel)!r}); {script}"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert told.count(str(wheel)) == 2
