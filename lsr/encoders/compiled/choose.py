"""Choice between the kernels and torch for a model. Nothing here imports either."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lsr.encoders.device import is_cpu_or_auto
from lsr.encoders.pretrained.hub import bundled
from lsr.errors import UsageError
from lsr.models import bundled_folder

log = logging.getLogger("lsr")

INT8, FLOAT32 = "int8", "float32"
EXPORT_FILE = "lsr_export.json"
"""The file that makes a folder an exported model."""

_OF_TORCH = ("device", "max_tokens")


def compiled_options(name_or_path: str | Path, options: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the options to open a model on the kernels with; None where torch runs it.

    options: `device`, `dtype` and others of a loader. The kernels run what is to be int8, bundled models unless another
    dtype or device is asked for, exported models, and where torch is missing all models that they can. Raises
    UsageError where both can't be.
    """
    dtype, device = options.get("dtype"), options.get("device")
    on_cpu = is_cpu_or_auto(device)
    exported = _is_exported(name_or_path)
    if dtype == INT8 or exported:
        if not on_cpu:
            what = "an exported model runs on" if exported else "dtype int8 is for"
            raise UsageError(f"{what} the CPU, but device is {device!r}: leave one of them out")
    elif bundled_folder(str(name_or_path)) is not None and dtype is None and on_cpu:
        dtype = INT8
    elif on_cpu and dtype in (None, FLOAT32) and not has_torch():
        log.info("torch isn't installed: %s encodes in %s on compiled kernels", name_or_path, FLOAT32)
        dtype = FLOAT32
    else:
        return None
    chosen = {name: value for name, value in options.items() if name not in _OF_TORCH}
    return chosen | {"dtype": dtype}


def int8_hint(name_or_path: str | Path, encoder: Any, dtype: str | None) -> str | None:
    """Return a hint at int8 for a model that torch runs on a CPU, None where nothing is to say.

    That is where the kernels can't run it, or do, and where a dtype was asked for.
    """
    runtime = getattr(encoder, "runtime", None)
    if dtype is not None or runtime is None or runtime.library == "lsr kernels" or runtime.device != "cpu":
        return None
    from lsr.encoders.compiled.parts import why_not_sparse
    from lsr.encoders.pretrained.hub import locate
    from lsr.encoders.pretrained.sparse_folder import read_layout

    if why_not_sparse(read_layout(locate(name_or_path).folder)) is not None:
        return None
    return (
        f"{name_or_path} encodes in {runtime.dtype} by torch; --dtype int8 takes about a third of the time, "
        "with nearly the same results (docs/ENCODERS.md)"
    )


def has_torch() -> bool:
    """Return whether torch and transformers are installed."""
    return all(find_spec(name) is not None for name in ("torch", "transformers"))


def _is_exported(name_or_path: str | Path) -> bool:
    packaged = bundled(str(name_or_path))
    try:
        folder = Path(name_or_path).expanduser() if packaged is None else packaged.folder
        return (folder / EXPORT_FILE).is_file()
    except (OSError, RuntimeError, ValueError):  # no home folder, or no name of a file
        return False
