"""The access log: a JSON line a request, without what was searched for unless that is asked for."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from lsr.io.printable import json_line


class AccessLog:
    """Writes a line for each answered request. with_queries: the query strings of requests, too."""

    def __init__(self, file: TextIO, *, with_queries: bool = False) -> None:
        self._file = file
        self.with_queries = with_queries
        self._writing = threading.Lock()

    def write(self, entry: Mapping[str, Any]) -> None:
        """Write a line. A reader that has gone, or a full disk, ends no request."""
        line = json_line({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **entry})
        with self._writing:
            try:
                self._file.write(line + "\n")
                self._file.flush()
            except OSError:
                return
