"""The library process of a topology: python -m trainer.library --config topology.toml."""

import sys

if __name__ == "__main__":
    # Imported late: a decoder process that is spawned from here imports this module again.
    from trainer.library.process import main

    sys.exit(main())
