"""The command line as a module: `python -m lsr` is `lsr`."""

from __future__ import annotations

import sys

from lsr.cli.entry import main

if __name__ == "__main__":
    code = main()
    # An interrupted `exec` of a library leaves a mark by which `python -m` dies of SIGINT instead of returning the
    # code; the next `exec` clears it (CPython, run_eval_code_obj).
    exec("")  # noqa: S102
    sys.exit(code)
