"""JSON of answers."""

from __future__ import annotations

from typing import Any

import orjson

from lsr.io.printable import escaped, json_line


def json_bytes(value: Any) -> bytes:
    """Return values as JSON text that is safe to print, in UTF-8; reading it gives the same values."""
    try:
        text = orjson.dumps(value).decode()
    except (TypeError, ValueError):  # what UTF-8 or 64 bits can't hold
        return json_line(value).encode()
    return escaped(text).encode()
