"""Parallel texts out of gettext's catalogues, as programs install them: English messages and their translations.

The format: GNU gettext's manual, "The Format of GNU MO Files".
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from lsr.errors import BadDocumentError

_LITTLE, _BIG = b"\xde\x12\x04\x95", b"\x95\x04\x12\xde"
_PLURAL, _CONTEXT = "\x00", "\x04"
LEAST_WORDS = 4


def read_catalogue(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each message of a `.mo` file with its translation, the singular of those that have a plural.

    The header, and a catalogue in another encoding than UTF-8, are skipped. Raises BadDocumentError for a file that is
    no catalogue.
    """
    data = path.read_bytes()
    if data[:4] not in (_LITTLE, _BIG):
        raise BadDocumentError(f"{path}: no gettext catalogue: it begins with {data[:4]!r}")
    order = "<" if data[:4] == _LITTLE else ">"
    try:
        n_messages, originals, translations = struct.unpack_from(f"{order}3I", data, 8)
        for number in range(n_messages):
            pair = [_string(data, order, table + 8 * number, path) for table in (originals, translations)]
            message, translation = (text.split(_PLURAL)[0] for text in pair)
            if message:
                yield message.rpartition(_CONTEXT)[2], translation
    except UnicodeDecodeError:
        return
    except struct.error as error:
        raise BadDocumentError(f"{path}: a broken gettext catalogue: {error}") from error


def _string(data: bytes, order: str, place: int, path: Path) -> str:
    length, offset = struct.unpack_from(f"{order}2I", data, place)
    if offset + length > len(data):
        raise BadDocumentError(f"{path}: a broken gettext catalogue: a text ends behind the file")
    return data[offset : offset + length].decode("utf-8")


def parallel_texts(paths: Iterable[Path]) -> dict[str, str]:
    """Return English messages of some words with their translations, each once, sorted.

    Messages that stay as they are, are shorter than four words or have several lines are left out.
    """
    found: dict[str, str] = {}
    for path in sorted(paths):
        for message, translation in read_catalogue(path):
            one, other = message.strip(), translation.strip()
            if one != other and other and "\n" not in one + other and len(one.split()) >= LEAST_WORDS:
                found.setdefault(one, other)
    return dict(sorted(found.items()))
