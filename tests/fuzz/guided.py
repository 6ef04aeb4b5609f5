"""One target, guided by coverage: python -m tests.fuzz.guided TARGET SECONDS SEED FOLDER. See __main__.py.

A defect is written to FOLDER/defects.jsonl, once for each place that it comes from, and the run goes on. What
ends the process, a crash in a library of C or an input that takes too long or too much, is its parent's to
tell: libFuzzer leaves the input in FOLDER.
"""

import json
import random
import sys
import time
import traceback
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["engine", "workers", "trainer"]):
    from engine.errors import SprError
    from tests.fuzz.catalogue import TARGETS
    from tests.fuzz.mutations import changed

MEMORY_MB = 3000
LONGEST_S = 20  # of an input
SLOW_S = 5.0  # of the processor
TOKENS = ["1e999", "-1", "null", "[]", "{}", '\\"\\"', "true", "99999999999999999999", "\\xff", "\\x00"]


def main(name: str, seconds: int, seed: int, folder: Path) -> None:
    """Fuzz a target for some time; the process ends here."""
    target, seen = TARGETS[name], set[str]()
    work, corpus = folder / "work", folder / "corpus"
    work.mkdir()
    corpus.mkdir()
    for number, data in enumerate(target.seeds(work)):
        (corpus / f"seed-{number}").write_bytes(data)
    defects = (folder / "defects.jsonl").open("a")

    def note(where: str, why: str, data: bytes) -> None:
        if where not in seen:
            seen.add(where)
            defects.write(json.dumps({"where": where, "why": why[-2000:], "input": data.hex()[:4000]}) + "\n")
            defects.flush()

    def once(data: bytes) -> None:
        began = time.process_time()
        try:
            target.read(work, data)
        except SprError:
            pass
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            note(f"{type(error).__name__} {last.filename}:{last.lineno}", traceback.format_exc(), data)
        if (took := time.process_time() - began) > SLOW_S:
            note("slow", f"it takes {took:.1f} s", data)

    def other(data: bytes, most: int, number: int) -> bytes:
        chance = random.Random(number)
        if chance.random() < 0.5:
            return bytes(atheris.Mutate(data, most))
        return changed(chance, data, target.head)[:most]

    atheris.Setup([sys.argv[0], *options(seconds, seed, folder), str(corpus)], once, custom_mutator=other)
    atheris.Fuzz()


def options(seconds: int, seed: int, folder: Path) -> list[str]:
    """Return what libFuzzer is told; what it leaves behind lies in the folder."""
    words = folder / "dictionary"
    words.write_text("".join(f'"{token}"\n' for token in TOKENS))
    limits = [f"-timeout={LONGEST_S}", f"-rss_limit_mb={MEMORY_MB}", "-max_len=200000"]
    places = [f"-artifact_prefix={folder}/", f"-dict={words}"]
    return [f"-max_total_time={seconds}", f"-seed={seed}", *limits, *places, "-print_final_stats=1"]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
