"""An encoder's process: `python -m workers.encoder --config topology.toml [--listen HOST:PORT]`."""

import sys

from engine import serving
from workers.ranker.__main__ import serve

if __name__ == "__main__":
    sys.exit(serving.main("encoder", serve))
