"""Cost of compiling the search kernels from an empty cache, function by function.

Run by `python -m lsr.eval.bench.serving.compiling`. Processor time of this process; a function's share is without that
of the functions that it had compiled for it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

SHOWN = 20


@dataclass(slots=True)
class CompilingAccount:
    """Seconds of processor time and the number of versions of each compiled function, by its name."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    versions: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _open: list[tuple[float, list[float]]] = field(default_factory=list)

    def begin(self, _event: Any) -> None:
        """Note that a compilation begins, perhaps within another one."""
        self._open.append((time.process_time(), []))

    def end(self, event: Any) -> None:
        """Note that the last begun compilation ended."""
        began, inner = self._open.pop()
        took = time.process_time() - began
        if self._open:
            self._open[-1][1].append(took)
        function = event.data["dispatcher"].py_func
        name = f"{function.__module__.removeprefix('lsr.kernels.')}.{function.__name__}"
        self.seconds[name] += took - sum(inner)
        self.versions[name] += 1

    def lines(self) -> Iterator[str]:
        """Yield the total, and the functions that took most."""
        n_versions = sum(self.versions.values())
        yield f"{sum(self.seconds.values()):.1f} s of processor time, {n_versions} versions of functions"
        for name in sorted(self.seconds, key=lambda name: -self.seconds[name])[:SHOWN]:
            yield f"{self.seconds[name]:7.2f} s  {self.versions[name]:3}  {name}"


def listen(account: CompilingAccount) -> None:
    """Let an account hear of every compilation in this process from now on."""
    from numba.core import event

    class Listener(event.Listener):
        def on_start(self, event: Any) -> None:
            account.begin(event)

        def on_end(self, event: Any) -> None:
            account.end(event)

    event.register("numba:compile", Listener())


def main(argv: Sequence[str] | None = None) -> int:
    """Compile into an empty cache and print the account."""
    parser = argparse.ArgumentParser(
        prog="python -m lsr.eval.bench.serving.compiling", description=__doc__.partition("\n")[0]
    )
    parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LSR_CACHE"] = folder
        from lsr.query.engine.compile_ahead import compile_search

        account = CompilingAccount()
        listen(account)
        compile_search()
        for line in account.lines():
            sys.stdout.write(line + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
