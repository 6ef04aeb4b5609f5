"""How a training ends before its last step."""

from engine.errors import SprError


class Stopped(SprError):
    """The training was asked to stop, and its state is saved. exit_code: as a shell tells of the signal."""

    def __init__(self, step: int, number: int) -> None:
        super().__init__(f"Stopped after step {step}; the same command goes on from there.", "STOPPED")
        self.exit_code = 128 + number


class Diverged(SprError):
    """The training has come to numbers that are not finite; nothing of it is kept."""

    exit_code = 3

    def __init__(self, what: str, step: int, remedy: str = "a smaller learning rate (--set lr=...)") -> None:
        super().__init__(
            f"The training has diverged: its {what} not finite after step {step}. Nothing of it was kept; "
            f"train again with {remedy}.",
            "DIVERGED",
        )
