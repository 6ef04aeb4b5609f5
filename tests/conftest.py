"""What all tests share: so many threads of arithmetic, in this process and in those it starts."""

import ctypes
import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from tests import fork_server
from tests.leftovers import Running

# One service each, which all of their files use; of stores the server.
TOGETHER = ("tests/clients/page/", "tests/stores/", "tests/system/living/")
# What takes longest, longest first: started last, it would keep one worker busy while the others have ended.
LONGEST = (
    *TOGETHER,
    "tests/trainer/library/test_living.py",
    "tests/trainer/ranker/test_training.py",
    "tests/system/test_fuzz.py",
    "tests/system/test_rolling.py",
    "tests/system/test_access.py",
    "tests/trainer/library/test_power_cut_steps.py",
    "tests/trainer/library/test_damage.py",
    "tests/trainer/projector/test_training.py",
    "tests/trainer/generation/test_migrate.py",
    "tests/system/test_processes.py",
    "tests/trainer/world/",
    "tests/workers/index/test_part.py",
    "tests/trainer/ingest/test_limits.py",
    "tests/trainer/ingest/test_command.py",
    "tests/trainer/screen/test_reading.py",
    "tests/bench/test_stages.py",
    "tests/system/test_search.py",
    "tests/system/test_round_trip.py",
    "tests/system/test_clips.py",
    "tests/workers/ranker/test_parts.py",
    "tests/trainer/library/test_process.py",
    "tests/engine/test_overload.py",
    "tests/engine/test_simulation.py",
    "tests/engine/test_ranker_failures.py",
)
# Here a sync takes microseconds, on a disk milliseconds, and tests sync thousands of times.
MEMORY = Path("/dev/shm")
ROOM = 4 << 30
# Jobs in a shell's background ignore Ctrl-C, and so would the processes that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Two cores are shared with the processes under test. Another number may be given: no test depends on it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# As the command line has it: threads that spin while they wait starve all else on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class Together(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """A file's tests stay on one worker, those of TOGETHER across files."""

    def _split_scope(self, nodeid: str) -> str:
        return _file(nodeid)


def _file(nodeid: str) -> str:
    """Return a test's file, or the folder whose files are one."""
    return next((folder for folder in TOGETHER if nodeid.startswith(folder)), nodeid.split("::")[0])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together | None:
    return Together(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """One and a half workers a core: tests of running services wait a quarter of their time."""
    return None if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else (os.cpu_count() or 1) * 3 // 2


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Let all workers of a whole run share a fork server, which loads while they collect."""
    if node.config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        node.workerinput["fork_server"] = fork_server.start()


def _memory() -> bool:
    """Tell whether there is a file system in memory for all that tests write, programs too."""
    about = os.statvfs(MEMORY) if MEMORY.is_dir() else None
    return about is not None and not about.f_flag & os.ST_NOEXEC and about.f_bavail * about.f_frsize > ROOM


def pytest_configure(config: pytest.Config) -> None:
    if "not nightly" in config.option.markexpr and _memory():
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    if started := getattr(config, "workerinput", {}).get("fork_server"):
        fork_server.use(started)


def _place(nodeid: str) -> int:
    return next((place for place, start in enumerate(LONGEST) if nodeid.startswith(start)), len(LONGEST))


@pytest.hookimpl(trylast=True)  # after `-p randomly`, whose order stays within a file
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: _place(item.nodeid))


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what collection has loaded: half a million objects that stay."""
    gc.collect()
    gc.freeze()
    # Tests make many objects, few of them in cycles.
    gc.set_threshold(50_000, 20, 20)


_before = pytest.StashKey[tuple[str, Running]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    if item.session.stash.get(_before, ("", None))[0] != _file(item.nodeid):
        item.session.stash[_before] = (_file(item.nodeid), Running())
    yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Fail the last test of a file that leaves threads or processes running."""
    yield
    file, before = item.session.stash[_before]
    if nextitem is None or _file(nextitem.nodeid) != file:
        left = before.since()
        assert not left, f"{file} leaves running: {', '.join(left)}"


@pytest.fixture(autouse=True)
def _as_many_threads() -> None:
    # Code under test may have asked for others in an earlier test.
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


@pytest.fixture
def plain_user() -> Iterator[None]:
    """Let permissions count for root too: this thread gives up overriding them for the time of a test."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    if not hasattr(libc, "capget") or libc.capget(header, sets) != 0:
        pytest.skip("this system has no capabilities to give up")
    before = sets[0]
    # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, effective.
    sets[0] = before & ~0b110
    libc.capset(header, sets)
    yield
    sets[0] = before
    libc.capset(header, sets)


@pytest.fixture
def one_thread(_as_many_threads: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute on one thread, here and in processes that the test starts: the same sums to the last bit."""
    import torch

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
