"""The number of the protocol between processes, by which those of different releases know each other.

PROTOCOL rises when a message between processes changes its meaning, OLDEST when processes that speak an
older one can no longer be used. A new coordinator asks the workers of the last release; an old coordinator
does not ask new workers: the coordinator is restarted first.
"""

PROTOCOL, OLDEST = 1, 1
# The reason of a call that a draining worker refuses: nothing is wrong with it.
DRAINING = "DRAINING"


def refusal(spoken: int) -> str:
    """Return why a coordinator asks nothing of a process that speaks this protocol, "" if it does."""
    if spoken > PROTOCOL:
        known = f"speaks protocol {spoken}, this coordinator knows {PROTOCOL} at most"
        return f"{known}; restart the coordinator from the newer release"
    if spoken < OLDEST:
        known = f"speaks protocol {spoken}, this coordinator needs {OLDEST} at least"
        return f"{known}; restart this process from the coordinator's release"
    return ""
