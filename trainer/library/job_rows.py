"""How jobs lie in their SQLite file."""

from typing import NamedTuple

from trainer.library.database import Layout

LAYOUT = Layout(
    """
create table if not exists jobs (
    number   integer primary key autoincrement,
    id       text    not null unique,
    kind     text    not null,
    work     blob    not null,
    state    text    not null,
    attempts integer not null default 0,
    created  real    not null,
    ended    real    not null default 0,
    outcome  text    not null default '{}'
) strict;
create index if not exists by_state on jobs (state, number);
""",
    number=1,
    lost="jobs that waited are lost, no video is",
    reason="QUEUE_CORRUPT",
)


class Waiting(NamedTuple):
    """A job that waits. since: when it was submitted, seconds of the epoch."""

    since: float
    number: int
    kind: str
