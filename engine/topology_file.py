"""A topology file that is followed while its processes run."""

import logging
from pathlib import Path

from engine import config
from engine.config import Topology
from engine.errors import InvalidInput

_log = logging.getLogger("spr.topology")


class TopologyFile:
    """Looks at a file now and then. fault: why it was not taken, "" if it was. mark: of what was taken.

    A file is read when it looked the same twice, so that one which is being written is left alone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fault = self.mark = ""
        self._read = self._seen = ""

    def look(self) -> Topology | None:
        """Return the topology if the file has changed, else None; the caller accepts or refuses it then.

        Reads files. What cannot be used is refused here.
        """
        try:
            seen, self._seen = self._seen, self._looks()
            if self._seen == self._read or self._seen != seen:
                return None
            topology = config.read(self.path)
            if self._looks() != seen:
                return None
            self._read = seen
            return topology
        except OSError as error:
            self.refuse(f"{self.path} cannot be read ({error.strerror})")
        except InvalidInput as error:
            self._read = self._seen
            self.refuse(str(error))
        return None

    def accept(self) -> None:
        """Note that what was read is used."""
        if self.fault:
            _log.info("%s can be used again", self.path)
        self.fault, self.mark = "", self._read

    def refuse(self, why: str) -> None:
        """Note, and log once, why what was read is not used."""
        fault = f"{why.rstrip('.')}; the topology of before stays in use"
        if fault != self.fault:
            _log.warning("%s", fault)
        self.fault = fault

    def _looks(self) -> str:
        about = self.path.stat()
        return f"{about.st_mtime_ns}-{about.st_size}-{about.st_ino}"
