"""Text that may be printed: without control characters, escape sequences, and characters that turn its direction."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

UNSAFE = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
"""Inside of a character class of regular expressions: what no text may bring to a terminal.

It moves the cursor, begins an escape sequence, turns the direction of text, or can't be encoded.
"""

_UNSAFE = re.compile(f"[{UNSAFE}]")


def clean(text: str) -> str:
    """Return a text in which nothing gives orders to a terminal; its length stays the same."""
    return text if text.isprintable() else _UNSAFE.sub("\ufffd", text)


def json_line(value: Any, *, allow_nan: bool = True) -> str:
    """Return a value as JSON text in one line that is safe to print; reading it gives the same value.

    It is ASCII alone where stdout has another encoding than UTF-8, so that it stays JSON there too.
    """
    return escaped(json.dumps(value, ensure_ascii=not _prints_unicode(), allow_nan=allow_nan))


def escaped(text: str) -> str:
    """Return JSON text with escapes in the place of what mustn't be printed."""
    return text if text.isprintable() else _UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _prints_unicode() -> bool:
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig")
