"""Progress of long work on stderr: a bar on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any, ClassVar

from lsr.cli.shell.signals import check_signals
from lsr.output.numbers import counted, human_bytes
from lsr.output.terminal import say

SECONDS_BETWEEN_LINES = 10.0


class TerminalProgress:
    """Listener that shows each stage with rate and time left.

    On a terminal it is a bar; elsewhere, as in a log file, a line every ten seconds, so that short work prints none.
    """

    shown: ClassVar[TerminalProgress | None] = None
    """The one whose bar is on the screen."""
    quiet: ClassVar[bool] = False
    """True while a command runs with --quiet."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._lines: _Lines | None = None

    def start(self, stage: str, total: int | None, unit: str) -> None:
        """End the previous stage and begin another."""
        check_signals()
        self.close()
        if TerminalProgress.quiet:
            return
        if not sys.stderr.isatty():
            self._lines = _Lines(stage, total, unit)
            return
        from tqdm import tqdm

        self._bar = tqdm(
            desc=stage,
            total=total,
            unit="B" if unit == "B" else counted(2, unit)[1:],
            unit_scale=unit == "B",
            unit_divisor=1000,
            leave=False,
            file=sys.stderr,
            dynamic_ncols=True,
        )
        TerminalProgress.shown = self

    def advance(self, n: int) -> None:
        """Advance by n units. Ends the command, as all stages do, after a signal that a library lost."""
        check_signals()
        if self._bar is not None:
            self._bar.update(n)
        elif self._lines is not None:
            self._lines.advance(n)

    def close(self) -> None:
        """Remove the bar."""
        self._lines = None
        if self._bar is not None:
            self._bar.close()
            self._bar = None
            if TerminalProgress.shown is self:
                TerminalProgress.shown = None


class _Lines:
    """Lines about one stage."""

    def __init__(self, stage: str, total: int | None, unit: str) -> None:
        self._stage = stage
        self._total = total
        self._unit = unit
        self._done = 0
        self._began = self._printed = time.monotonic()

    def advance(self, n: int) -> None:
        self._done += n
        now = time.monotonic()
        if now - self._printed >= SECONDS_BETWEEN_LINES:
            self._printed = now
            say(f"lsr: {self._line(now - self._began)}", stream=sys.stderr, flush=True)

    def _line(self, seconds: float) -> str:
        rate = self._done / seconds
        done = self._count(self._done)
        if self._total:
            share = f" ({min(1.0, self._done / self._total):.0%})"
            left = f", {_duration((self._total - self._done) / rate)} left" if 0 < self._done < self._total else ""
            so_far = human_bytes(self._done) if self._unit == "B" else f"{self._done:,}"
            done = f"{so_far} of {self._count(self._total)}{share}"
        else:
            left = ""
        a_second = human_bytes(int(rate)) if self._unit == "B" else f"{rate:,.0f}"
        return f"{self._stage}: {done}, {a_second} a second{left}"

    def _count(self, n: int) -> str:
        return human_bytes(n) if self._unit == "B" else counted(n, self._unit)


def _duration(seconds: float) -> str:
    whole = int(seconds) + 1
    if whole < 100:
        return f"{whole} s"
    minutes = whole // 60
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
