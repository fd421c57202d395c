"""The runtime that a model computes in, as an index records it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

RUNTIME = "runtime"
"""Name of the record beside an encoder's description."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """A library with the device and the data type of its weights.

    same_bits: whether a text's vector has the same bits in every batch, with every number of threads, and on every
    processor.
    """

    library: str
    device: str
    dtype: str
    same_bits: bool


def kernels_of(dtype: str) -> Runtime:
    """Return the runtime of the compiled kernels with weights of a data type, int8 or float32."""
    return Runtime("lsr kernels", "cpu", dtype, same_bits=True)


INTEGER_KERNELS = kernels_of("int8")
"""The compiled kernels with int8 weights."""


def recorded_runtime(encoder: Any) -> dict[str, Any]:
    """Return the entry of an encoder's runtime for a manifest; none for an encoder that has only one, such as words."""
    runtime: Runtime | None = getattr(encoder, RUNTIME, None)
    return {} if runtime is None else {RUNTIME: asdict(runtime)}


def with_runtime(description: Mapping[str, Any], encoder: Any) -> dict[str, Any]:
    """Return an encoder's description with its runtime, which is no part of its identity."""
    return {**description, **recorded_runtime(encoder)}


def joined_runtimes(description: Mapping[str, Any], encoder: Any) -> Mapping[str, Any]:
    """Return an index's description of its encoder after vectors of `encoder` joined those that are there.

    Where the two runtimes differ, the record names both, and no longer promises the same bits.
    """
    before, added = description.get(RUNTIME), recorded_runtime(encoder).get(RUNTIME)
    if not isinstance(before, Mapping) or added is None or before == added:
        return description

    def both(name: str) -> str:
        names = str(before.get(name)).split(" + ")
        return " + ".join(dict.fromkeys([*names, str(added[name])]))

    joined = {name: both(name) for name in ("library", "device", "dtype")}
    return {**description, RUNTIME: {**joined, "same_bits": False}}
