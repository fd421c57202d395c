"""The command line as a module: `python -m lsr` is `lsr`."""

from __future__ import annotations

import sys

from lsr.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())
