"""Where the checkpoint is that a training begins from."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsr.encoders.source import locate
from lsr.errors import UsageError
from lsr.training.teachers.opening import model_folder


def start_folder(start: str, fit_head: Mapping[str, Any] | None, work: Path) -> Path:
    """Return a checkpoint's folder: of a folder's path, a hub name, or `package:NAME`.

    fit_head: settings of the masked-LM head that is made for a checkpoint without one, kept in `work`.
    Raises EncoderError if there is no such checkpoint, UsageError where heads can't be fitted.
    """
    folder = locate(model_folder(start)).folder
    if fit_head is None:
        return folder
    target = work / "fitted-head"
    if not (target / "config.json").is_file():
        if importlib.util.find_spec("lsr.training.fitted_head") is None:
            raise UsageError("config: encoder.fit_head is set, but this version fits no heads")
        fitted_head = importlib.import_module("lsr.training.fitted_head")
        fitted_head.fit_head(folder, target, **fit_head)
    return target
