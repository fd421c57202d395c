"""Ids of documents: the text that the data gives, ids of paths, and a ledger that finds duplicates."""

from __future__ import annotations

import re
from collections import defaultdict
from hashlib import blake2b
from struct import Struct
from zlib import crc32

import numpy as np
import numpy.typing as npt

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

    An id is kept as 80 bits of two hashes: 16 choose the bucket, 64 are in it, followed by the place (file and
    position, 32 bits each). Ten million ids confuse two different ones with a probability of 4e-11. The 64 are those
    that an index finds documents by (`lsr.indexer.storage.segment.hash_ids`).
    """

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets: defaultdict[int, bytearray] = defaultdict(bytearray)

    def enter(self, doc_id: str, file_ord: int, position: int) -> tuple[int, int] | None:
        """Enter an id and return None; or return the earlier place of an id that is there, which then stays.

        file_ord: which file of the walk, from 0. position: line or row in it, 0 for the whole of it.
        """
        encoded = doc_id.encode("utf-8")
        key = blake2b(encoded, digest_size=8).digest()
        bucket = self._buckets[crc32(encoded) & 0xFFFF]
        at = bucket.find(key)
        while at >= 0:
            if at % _ENTRY_BYTES == 0:
                found: tuple[int, int] = _PLACE.unpack_from(bucket, at + 8)
                return found
            at = bucket.find(key, at + 1)
        bucket += key + _PLACE.pack(file_ord, min(position, _MAX_U32))
        return None

    def files(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32]]:
        """Return the hash of each doc_id that was entered, and the number of its file."""
        entries = np.frombuffer(b"".join(self._buckets.values()), np.dtype([("key", "<u8"), ("place", "<u4", 2)]))
        return entries["key"].astype(np.uint64), entries["place"][:, 0].astype(np.uint32)
