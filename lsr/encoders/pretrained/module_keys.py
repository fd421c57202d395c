"""Keys of the configs that come with a model: read, without effect, refused, or warned of.

Nothing here imports torch.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from lsr.errors import EncoderError

log = logging.getLogger("lsr")

ADAPTER_CONFIG = "adapter_config.json"
"""The file that makes a folder a PEFT adapter."""
_NOTHING: tuple[Any, ...] = (None, False, 0, "", [], {})
"""Values by which a key asks for nothing."""


@cache
def warn_once(message: str) -> None:
    """Log a warning, the same one once in a process."""
    log.warning("%s", message)


def check_keys(
    path: Path,
    values: Mapping[str, Any],
    *,
    known: Collection[str],
    only: Mapping[str, Collection[Any]] | None = None,
) -> None:
    """Refuse values that this program can't do what they ask for, and warn once of keys that it doesn't know.

    path: the config, for messages. known: keys that are read elsewhere, or change no vector. only: keys with the values
    that change nothing. Raises EncoderError for another value of one of these.
    """
    only = only or {}
    for key, value in values.items():
        if key in only and value not in only[key]:
            raise EncoderError(
                f"{path}: {key} is {value!r:.60}, which this program can't do: its vectors would not be the model's"
            )
        if key not in only and key not in known and value not in _NOTHING:
            warn_once(f"{path}: {key} ({value!r:.60}) is not known to this program: it has no effect")


def refuse_adapter(folder: Path) -> None:
    """Raise EncoderError for a PEFT adapter, whose model is elsewhere."""
    if (folder / ADAPTER_CONFIG).is_file():
        raise EncoderError(
            f"{folder} is an adapter ({ADAPTER_CONFIG}), not a whole model: run lsr encoder convert {folder} OUT, "
            "which adds it to its model"
        )
