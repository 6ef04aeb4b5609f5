import re
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import numeric

TESTS = Path(__file__).parent


def test_the_scale_is_the_tensors_largest_value() -> None:
    wanted = torch.tensor([7.0, 1e-3])
    numeric.close(torch.tensor([7.0, 1e-3 + 6e-5]), wanted)
    with pytest.raises(AssertionError, match=r"1\.1e-05 of the scale away"):
        numeric.close(torch.tensor([7.0, 1e-3 + 7.7e-5]), wanted)
    numeric.close([3.0], [1.0], 2.0, scale=1)
    numeric.close(np.zeros((0, 3)), np.zeros((0, 3)))
    numeric.close([[np.inf, 1.0]], [[np.inf, 1.0]], scale=1)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ([np.nan, 1.0], [np.nan, 1.0]),
        ([np.nan, 1.0], [1.0, 1.0]),
        ([1e-30], [0.0]),
        ([np.inf], [1.0]),
        ([1.0, 1.0], [1.0]),
        ([1.0, -3e38], [2.0, -3e38]),
    ],
    ids=["nan", "one nan", "no scale", "infinite", "shape", "padding"],
)
def test_what_cannot_be_compared_fails(found: list[float], wanted: list[float]) -> None:
    with pytest.raises(AssertionError):
        numeric.close(found, wanted)


def test_only_named_places_count() -> None:
    where = np.array([True, False])
    numeric.close([1.0, 5.0], [1.0, -3e38], where=where)
    with pytest.raises(AssertionError):
        numeric.close([1.5, 5.0], [1.0, -3e38], where=where)


def test_every_test_compares_tensors_with_this_helper() -> None:
    others = re.compile(r"\b(allclose|isclose|assert_close|assert_almost_equal)\b")
    found = {path.name for path in TESTS.rglob("*.py") if others.search(path.read_text(encoding="utf-8"))}
    assert found == {Path(__file__).name}
