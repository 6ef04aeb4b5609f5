"""What the embedded recogniser hears of lines that espeak-ng speaks, without terms and with them.

    python -m recipes.heard [--seed 31] [--videos 24]

Lines are those of the hard world's videos, planned without pictures; long ones are left out. Expected are
nothing, the names of the world's people, and these among fifty names that nobody says.
"""

import argparse
import difflib
import re
import tempfile
import time
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.ingest.subtitles import Cue
from trainer.speech.engines import Engine
from trainer.speech.moonshine import Moonshine
from trainer.speech.sound import sound
from trainer.speech.voice import utterances
from trainer.world import speak
from trainer.world.plan import SpokenLine, VideoPlan
from trainer.world.planner import plan_video
from trainer.world.profile import PROFILES
from trainer.world.vocabulary import PERSONS

NOBODY = (
    "Anna Ben Carlos Diana Emil Fatima George Helen Ivan Jack Karen Leo Mina Nina Oscar Paula Quentin Rosa "
    "Sam Tina Uma Vera Walter Xenia Yann Zoe Aaron Bella Chloe David Elena Frank Greta Hugo Irene Jonas Kira "
    "Liam Marta Nora Omar Peter Rita Simon Tara Viola Will Ada Boris Clara"
).split()
# A video of an hour has hundreds of lines.
_LONGEST = 600.0


@dataclass(slots=True)
class Count:
    """names, facts: of lines, and heard; words: said, and missed; wrong: names heard that were not said."""

    lines: int = 0
    names: int = 0
    names_heard: int = 0
    facts: int = 0
    facts_heard: int = 0
    words: int = 0
    missed: int = 0
    wrong: int = 0

    def add(self, line: SpokenLine, text: str) -> None:
        """Count a line and what was heard while it was said."""
        said, heard = _words(line.text), _words(text)
        blocks = difflib.SequenceMatcher(None, said, heard, autojunk=False).get_matching_blocks()
        self.lines += 1
        self.words += len(said)
        self.missed += len(said) - sum(block.size for block in blocks)
        self.wrong += len({name.lower() for name in (*PERSONS, *NOBODY)} & set(heard) - set(said))
        for kind, fact in line.facts:
            found = _words(fact)[-1] in heard
            if kind == "person":
                self.names, self.names_heard = self.names + 1, self.names_heard + found
            else:
                self.facts, self.facts_heard = self.facts + 1, self.facts_heard + found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m recipes.heard", description=__doc__)
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--videos", type=int, default=24)
    options = parser.parse_args()
    speak.check()
    plans = [plan_video(options.seed, index, PROFILES["hard"]) for index in range(options.videos)]
    plans = [plan for plan in plans if plan.duration < _LONGEST]
    print("| expected | lines | names heard | other facts | words missed | names not said | CPU s |")
    print("|---|---|---|---|---|---|---|")
    for title, terms in (
        ("nothing", ()),
        ("the names", PERSONS),
        ("the names among 50 others", (*PERSONS, *NOBODY)),
    ):
        count, began = Count(), time.process_time()
        engine = Moonshine(None, terms)
        for plan in plans:
            for line, text in heard(plan, engine):
                count.add(line, text)
        print(
            f"| {title} | {count.lines} | {count.names_heard / count.names:.0%} of {count.names} "
            f"| {count.facts_heard / count.facts:.0%} of {count.facts} | {count.missed / count.words:.0%} "
            f"| {count.wrong} | {time.process_time() - began:.0f} |",
            flush=True,
        )


def heard(plan: VideoPlan, engine: Engine) -> Iterator[tuple[SpokenLine, str]]:
    """Speak a video's lines and yield each with what was heard while it was said."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(speak.RATE)
            file.writeframes(speak.track(plan).tobytes())
        cues = [
            Cue(utterance.start + cue.start, utterance.start + cue.end, cue.text)
            for utterance in utterances(sound(path))
            for cue in engine.hear(utterance.samples).cues
        ]
    for line in plan.lines:
        yield line, " ".join(cue.text for cue in cues if cue.start < line.end and cue.end > line.start)


def _words(text: str) -> Sequence[str]:
    return re.findall(r"\w+", text.lower().replace("harbour", "harbor").replace("'s", ""))


if __name__ == "__main__":
    main()
