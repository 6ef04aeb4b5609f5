import os
import subprocess
import sys
from pathlib import Path

import pytest
from engine.generation_lock import locked_for_removal, locked_for_serving

from engine import manifest
from engine.config import Topology
from engine.errors import NotFound
from tests.engine.corpus import Corpus

HOLDER = """
import sys
from pathlib import Path
from engine.config import Topology
from engine.generation_lock import locked_for_serving
with locked_for_serving(Topology(path=Path("t"), collection=Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


def free(generation: Path) -> bool:
    with locked_for_removal(generation) as nobody:
        return nobody


def test_a_generation_is_held_while_any_process_holds_it(tmp_path: Path) -> None:
    topology = Topology(path=tmp_path, collection=Corpus().write(tmp_path / "c"))
    generation = manifest.current(topology.collection)
    with locked_for_serving(topology) as first, locked_for_serving(topology):
        assert first.generation == generation.name
        assert not free(generation)
    assert free(generation)


def test_what_a_killed_process_held_is_free(tmp_path: Path) -> None:
    collection = Corpus().write(tmp_path / "c")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", HOLDER, str(collection)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert not free(manifest.current(collection))
        holder.kill()
        holder.wait(timeout=20)
    assert free(manifest.current(collection))


def test_one_that_is_removed_before_it_is_held_is_not_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topology = Topology(path=tmp_path, collection=Corpus().write(tmp_path / "c"))

    def remove(number: int, how: int) -> None:
        generation = manifest.current(topology.collection)
        generation.rename(generation.with_name(".removed"))

    monkeypatch.setattr("engine.generation_lock.fcntl.flock", remove)
    with pytest.raises(NotFound, match="was removed just now"), locked_for_serving(topology):
        pass
