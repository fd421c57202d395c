"""Weights of a safetensors file as mapped arrays, without torch: only what is used is read."""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.errors import EncoderError
from lsr.io.plain_file import opened

Floats = npt.NDArray[np.float32]

_DTYPES: Mapping[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "I8": np.dtype("i1"),
}
_SIZE_BYTES = 8
_MOST_HEADER = 100_000_000
SCALE = ":scale"
"""Suffix that `compact_weights` gives the name of the row factors of a table of 8-bit integers."""


class Tensors:
    """The tensors of one file, by name. Raises EncoderError for a file that is cut or isn't one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with opened(path) as file:
                length = int.from_bytes(file.read(_SIZE_BYTES), "little")
                if length > _MOST_HEADER:
                    raise ValueError(f"a header of {length:,} bytes")
                header = json.loads(file.read(length))
                self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._start = _SIZE_BYTES + length
            self._known: Mapping[str, Any] = {name: of for name, of in header.items() if name != "__metadata__"}
            self._check()
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise EncoderError(f"{path} is no safetensors file, or a part of one: {error}") from error

    def _check(self) -> None:
        for name, of in self._known.items():
            begin, end = of["data_offsets"]
            if any(type(number) is not int or number < 0 for number in (begin, end, *of["shape"])):
                raise ValueError(f"tensor {name} has sizes that are none")
            if not begin <= end <= len(self._mapped) - self._start:
                raise ValueError(f"tensor {name} lies outside the file")
            if of["dtype"] in _DTYPES and end - begin != math.prod(of["shape"]) * _DTYPES[of["dtype"]].itemsize:
                raise ValueError(f"tensor {name} is not of its shape")

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def get(self, name: str) -> Floats:
        """Return a tensor as float32: mapped where it is stored so, else expanded. Raises EncoderError without it."""
        stored, kind = self._stored(name)
        return self._floats(name, stored, kind, slice(None))

    def rows(self, name: str, rows: npt.NDArray[np.int64]) -> Floats:
        """Return some rows of a table as float32."""
        stored, kind = self._stored(name)
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(stored):
            raise EncoderError(f"{self.path}: {name} has {len(stored)} rows, but row {rows.max()} is asked for")
        return self._floats(name, stored[rows], kind, rows)

    def array(self, name: str) -> npt.NDArray[Any]:
        """Return a copy of a tensor as it is stored, float32 or int8. Raises EncoderError for any other."""
        stored, kind = self._stored(name)
        if kind not in ("F32", "I8"):
            raise EncoderError(f"{self.path}: {name} is {kind}, not F32 or I8: the file is of another kind of model")
        return np.array(stored)

    def bytes_of(self, name: str) -> tuple[npt.NDArray[np.int8], Floats] | None:
        """Return a stored table of 8-bit integers and each row's factor; None for other tensors."""
        stored, kind = self._stored(name)
        return (stored, self.get(name + SCALE)) if kind == "I8" and name + SCALE in self else None

    def _stored(self, name: str) -> tuple[npt.NDArray[Any], str]:
        of = self._known.get(name)
        if of is None or of["dtype"] not in _DTYPES:
            raise EncoderError(f"{self.path}: weight {name} is {'missing' if of is None else of['dtype']}")
        array = np.frombuffer(
            self._mapped, _DTYPES[of["dtype"]], math.prod(of["shape"]), self._start + of["data_offsets"][0]
        )
        return array.reshape(of["shape"]), str(of["dtype"])

    def _floats(self, name: str, values: npt.NDArray[Any], kind: str, rows: Any) -> Floats:
        if kind == "BF16":
            return (values.astype(np.uint32) << 16).view(np.float32)
        floats: Floats = values.astype(np.float32, copy=False)
        return floats * self.get(name + SCALE)[rows][:, None] if kind == "I8" else floats
