"""Ids of documents: the text that the data gives, ids of paths, and a ledger that finds duplicates."""

from __future__ import annotations

import re
from collections import defaultdict
from hashlib import blake2b
from struct import Struct

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_PLACE = Struct("<II")
_ENTRY_BYTES = 16
_MAX_U32 = 0xFFFF_FFFF


def fit_doc_id(raw: str) -> str:
    """Return an id as it was given, white space and `%` included.

    Only lone surrogates, which UTF-8 can't hold, become %XX: from JSON, or from bytes of a file's name.
    """
    if raw.isascii() or not _SURROGATE.search(raw):
        return raw
    return _SURROGATE.sub(_percent, raw)


def _percent(match: re.Match[str]) -> str:
    character = match[0]
    # Bytes of a file's name that are not UTF-8 come as U+DC80…U+DCFF; other lone surrogates only from JSON.
    errors = "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass"
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", errors))


class DocIdLedger:
    """Places of all doc_ids, in 16 bytes each, to find duplicates.

    An id is kept as 80 bits of its hash: 16 choose the bucket, 64 stand in it, followed by the place (file and
    position, 32 bits each). Ten million ids confuse two different ones with a probability of 4e-11.
    """

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets: defaultdict[bytes, bytearray] = defaultdict(bytearray)

    def enter(self, doc_id: str, file_ord: int, position: int) -> tuple[int, int] | None:
        """Enter an id and return None; or return the earlier place of an id that is there, which then stays.

        file_ord: which file of the walk, from 0. position: line or row in it, 0 for the whole of it.
        """
        digest = blake2b(doc_id.encode("utf-8"), digest_size=10).digest()
        bucket = self._buckets[digest[:2]]
        key = digest[2:]
        at = bucket.find(key)
        while at >= 0:
            if at % _ENTRY_BYTES == 0:
                found: tuple[int, int] = _PLACE.unpack_from(bucket, at + 8)
                return found
            at = bucket.find(key, at + 1)
        bucket += key + _PLACE.pack(file_ord, min(position, _MAX_U32))
        return None
