"""Folder of the checkpoint that a training starts from, with a fitted head where that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsr.encoders.pretrained.hub import locate
from lsr.errors import UsageError
from lsr.training.model.fit_mlm_head import fit_head_to_files
from lsr.training.model.model_folder import model_folder


def start_folder(start: str, settings: Mapping[str, Any] | None, work: Path) -> Path:
    """Return a checkpoint's folder, given a folder's path, a hub name, or `package:NAME`.

    settings: of `fit_head_to_files`, the masked-LM head that is made for a checkpoint without one, kept in `work`.
    Raises EncoderError if there is no such checkpoint, UsageError where heads can't be fitted.
    """
    folder = locate(model_folder(start)).folder
    if settings is None:
        return folder
    target = work / "fitted-head"
    if not (target / "config.json").is_file():
        try:
            fit_head_to_files(folder, target, **settings)
        except TypeError as error:
            raise UsageError(f"config: encoder.fit_head: {str(error).partition(') ')[2] or error}") from error
    return target
