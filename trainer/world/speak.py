"""Spoken lines as sound, by espeak-ng: something to hear for `spr ingest --transcribe`."""

import itertools
import shutil
import subprocess

import numpy as np
from numpy.typing import NDArray

from engine.errors import Unavailable
from trainer.world.plan import SpokenLine, VideoPlan

# Samples a second that espeak-ng writes, and bytes before the first of them.
RATE, _HEADER = 22050, 44
# Words a minute, and the voice of which a small recogniser misses fewest words (still most of them).
_PACE, _VOICE = 160, "en-us"


def check() -> None:
    """Raise Unavailable where espeak-ng is not installed."""
    if shutil.which("espeak-ng") is None:
        raise Unavailable("--speak needs espeak-ng, which is not installed: apt-get install espeak-ng")


def track(plan: VideoPlan) -> NDArray[np.int16]:
    """Return the sound of a plan's lines, mono (samples,) at RATE, silence between; done before the next."""
    sound = np.zeros(round(plan.duration * RATE), np.int16)
    for line, later in itertools.pairwise([*plan.lines, SpokenLine(plan.duration, plan.duration, "")]):
        start, end = round(line.start * RATE), round((later.start - 0.1) * RATE)
        said = _said(line.text, plan.language or _VOICE, _PACE)
        if len(said) > end - start:
            said = _said(line.text, plan.language or _VOICE, _PACE * len(said) // (end - start) + 20)
        said = said[: end - start]
        sound[start : start + len(said)] = said
    return sound


def _said(text: str, language: str, pace: int) -> NDArray[np.int16]:
    command = ["espeak-ng", "-v", language, "-s", str(pace), "--stdout", text]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60)
    return np.frombuffer(done.stdout[_HEADER:], "<i2")
