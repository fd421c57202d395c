"""The rules for ids: what a doc_id may be, how a path becomes one, and that none stands twice."""

from __future__ import annotations

import re
from collections import defaultdict
from hashlib import blake2b
from struct import Struct

_UNFIT = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_UNFIT_IN_PATH = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff%]")
_PLACE = Struct("<II")
_ENTRY_BYTES = 16
_MAX_U32 = 0xFFFF_FFFF


def fit_doc_id(raw: str) -> str:
    """Return an id from the data in the form it is kept.

    White space at its ends goes; white space and control characters inside, which would break a TREC run apart,
    become %XX as in a URL. All else stays as it is, so that ids match the qrels.
    """
    if raw.isprintable() and " " not in raw:
        return raw
    return _UNFIT.sub(_percent, raw.strip())


def doc_id_of_path(path: str) -> str:
    """Return the id of the file at this relative path, `%` being escaped too, so that two paths never share one."""
    if path.isprintable() and " " not in path and "%" not in path:
        return path
    return _UNFIT_IN_PATH.sub(_percent, path)


def _percent(match: re.Match[str]) -> str:
    character = match[0]
    # Bytes of a file's name that are not UTF-8 come as U+DC80…U+DCFF; other lone surrogates only from JSON.
    errors = "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass"
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", errors))


class DocIdLedger:
    """Remembers every doc_id and its place in 16 bytes each, to find the one that stands twice.

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
