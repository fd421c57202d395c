"""Entry point of the command `lsr`, which works as `lsr doctor` even where a needed package is missing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; where a package that it needs is missing, print which, or run `lsr doctor`."""
    try:
        from lsr.cli.main import main as run

        return run(argv)
    except KeyboardInterrupt:  # before the command began: it reports its own interruption
        sys.stderr.write("lsr: interrupted\n")
        return 130
    except ModuleNotFoundError as error:
        if (error.name or "lsr").partition(".")[0] == "lsr":
            raise
        return _without(str(error.name), sys.argv[1:] if argv is None else argv)


def _without(package: str, argv: Sequence[str]) -> int:
    """Run `lsr doctor`, or print which package is missing."""
    from lsr.cli import doctor

    if list(argv[:1]) != ["doctor"]:
        sys.stderr.write(
            f"lsr: the module {package} is missing: install lsr-search with its requirements (pip install lsr-search); "
            "'lsr doctor' lists the missing packages\n"
        )
        return 1
    parser = argparse.ArgumentParser(prog="lsr")
    doctor.add_parser(parser.add_subparsers(dest="command"))
    args = parser.parse_args(argv)
    return int(args.run(args))


if __name__ == "__main__":
    sys.exit(main())
