"""Workers of a test run that are forked from the fork server, which has loaded torch and all else of weight.

Started ones import the same for seconds, each of them. They speak with xdist over the same two pipes.
"""

import os
import sys
from multiprocessing.connection import Connection
from typing import Any

from execnet import gateway_io
from execnet.gateway_base import Popen2IO

from engine.processes import POLLING
from tests import fork_server


class _Forked(Popen2IO):  # type: ignore[misc]  # execnet shows no types
    """What execnet holds of a worker, in place of its Popen2IOMaster."""

    def __init__(self, _: list[str], execmodel: Any) -> None:
        theirs_in, ours_out = fork_server.CONTEXT.Pipe(duplex=False)
        ours_in, theirs_out = fork_server.CONTEXT.Pipe(duplex=False)
        with theirs_in, theirs_out, ours_in, ours_out:
            self._process = fork_server.CONTEXT.Process(target=_work, args=(theirs_in, theirs_out))
            self._process.start()
            ends = os.fdopen(os.dup(ours_out.fileno()), "wb"), os.fdopen(os.dup(ours_in.fileno()), "rb")
        super().__init__(*ends, execmodel)

    def wait(self) -> int | None:
        self._process.join()
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()


def fork() -> None:
    """Let execnet fork the workers that it starts from now on."""
    gateway_io.Popen2IOMaster = _Forked


def _work(stdin: Connection, stdout: Connection) -> None:
    from tests.forked import end

    for number, pipe in enumerate((stdin, stdout)):
        os.dup2(pipe.fileno(), number)
        pipe.close()
    sys.stdin, sys.stdout = open(0), open(1, "w")
    # Said to the fork server: programs that a test starts are to find it as they would be told.
    for name in POLLING:
        os.environ.pop(name, None)
    end(lambda: exec(eval(sys.stdin.readline())))
