"""No file makes a reader fail otherwise than by an SprError: good files, and some hundred changes of them.

The same targets as `python -m tests.fuzz`, which is guided by coverage and takes minutes.
"""

import os
import random
import time
from pathlib import Path

import pytest

from engine.errors import SprError
from tests.fuzz.catalogue import TARGETS
from tests.fuzz.mutations import changed

CHANGES, SEED = int(os.environ.get("SPR_CHANGES", "40")), int(os.environ.get("SPR_SEED", "1"))
LONGEST = 5.0  # seconds of the processor that an input may take


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.filterwarnings("default")
def test_any_file_is_read_or_refused(name: str, tmp_path: Path) -> None:
    target, chance = TARGETS[name], random.Random(f"{SEED} {name}")
    seeds = target.seeds(tmp_path)
    target.read(tmp_path, seeds[0])
    for _ in range(CHANGES):
        data = changed(chance, chance.choice(seeds), target.head)
        began = time.process_time()
        try:
            target.read(tmp_path, data)
        except SprError:
            pass
        except Exception as error:
            raise AssertionError(f"{name}: {data[:3000]!r}") from error
        assert time.process_time() - began < LONGEST, data[:3000]
