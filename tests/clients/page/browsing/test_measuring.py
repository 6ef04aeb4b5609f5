"""How long a user waits for the screen, as the benchmark measures it."""

import pytest

from bench import screen
from tests.clients.page.conftest import Page


@pytest.mark.nightly
def test_the_wait_for_the_screen_is_measured(page: Page, chromium: str) -> None:
    (row,) = screen.measured(page.address + "/", ["a ball"])
    assert 0 < row["coarse"] <= row["refined"] < 60_000
    with pytest.raises(SystemExit, match=r"the page answers 'warm up' with: .*'nobody' is not served"):
        screen.measured(page.address + "/?c=nobody", ["a ball"])
