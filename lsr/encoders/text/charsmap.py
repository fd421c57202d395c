"""Checks of the table of replacements that SentencePiece puts into a tokenizer, before the library looks into it.

The table is a trie of bytes, a double array of 32-bit units (Darts: a label, an offset to the children, a mark of a
value), behind its size, and before the replacements, each ended by a zero. The library trusts offsets and values.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MAX_BYTES = 4 << 20
MOST_NODES = 1 << 18
"""Nodes that a trie may have; the best known table has some tens of thousands."""
_AT_ONCE = 1024
_BYTES = np.arange(1, 256, dtype=np.int64)


class CharsmapError(Exception):
    """A fault of a table."""


def longest_replacement(table: bytes) -> int:
    """Return the length of a table's longest replacement in bytes.

    Raises CharsmapError for a table that is too large or cut, and where a look-up could lead out of the trie, or to
    what is no replacement.
    """
    if len(table) > MAX_BYTES:
        raise CharsmapError(f"it has {len(table):,} bytes, more than {MAX_BYTES:,}")
    size = int.from_bytes(table[:4], "little")
    if len(table) < 4 or size % 4 or 4 + size > len(table):
        raise CharsmapError("it is cut")
    texts = table[4 + size :]
    try:
        texts.decode()
    except UnicodeDecodeError:
        raise CharsmapError("its replacements are not UTF-8") from None
    begins = np.frombuffer(texts, np.uint8) & 0xC0 != 0x80  # where a character does
    _check_trie(np.frombuffer(table, "<u4", size // 4, 4).astype(np.int64), np.append(begins, True))
    return max(map(len, texts.split(b"\0")), default=0)


def _check_trie(units: npt.NDArray[np.int64], begins: npt.NDArray[np.bool_]) -> None:
    """Go through all nodes that texts may lead to. begins: where values may point to."""
    if not len(units):
        raise CharsmapError("its trie is empty")
    seen = np.zeros(len(units) | 255, bool)
    found = _offsets(units[:1])
    n_nodes = 0
    while len(found):
        # All children of a node lie in its block of 256 units, and are looked at before their labels are compared.
        if int(found.max()) | 255 >= len(units):
            raise CharsmapError("a node of its trie lies outside")
        found = np.unique(found[~seen[found]])
        seen[found] = True
        n_nodes += len(found)
        if n_nodes > MOST_NODES:
            raise CharsmapError(f"its trie has more than {MOST_NODES:,} nodes")
        parts = [_children(units, found[first : first + _AT_ONCE], begins) for first in range(0, len(found), _AT_ONCE)]
        found = np.concatenate([np.empty(0, np.int64), *parts])


def _children(
    units: npt.NDArray[np.int64], nodes: npt.NDArray[np.int64], begins: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Return the children of some nodes, their values checked."""
    places = nodes[:, None] ^ _BYTES
    at = places[units[places] & 0x8000_00FF == _BYTES]
    children: npt.NDArray[np.int64] = at ^ _offsets(units[at])
    valued = children[units[at] >> 8 & 1 == 1]
    if len(valued):
        if int(valued.max()) >= len(units):
            raise CharsmapError("a value of its trie lies outside")
        values = units[valued] & 0x7FFF_FFFF
        if int(values.max()) >= len(begins) or not begins[values].all():
            raise CharsmapError("a value of its trie is no place of a replacement")
    return children


def _offsets(units: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    found: npt.NDArray[np.int64] = (units >> 10) << ((units & 0x200) >> 6)
    return found
