"""Location of a model that a config names: a folder, a hub name, or `package:NAME`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from lsr.errors import EncoderError

PACKAGE = "package:"


def model_folder(model: str) -> str:
    """Return the folder of `package:NAME`, a model within a Python package; any other name stays.

    Raises EncoderError for a package that isn't installed or holds no model.
    """
    if not model.startswith(PACKAGE):
        return model
    package = model.removeprefix(PACKAGE)
    found = importlib.util.find_spec(package) if package.isidentifier() else None
    if found is None or found.origin is None:
        raise EncoderError(f"no package {package!r} is installed: pip install {package.replace('_', '-')}")
    folder = Path(found.origin).parent
    for candidate in (folder, folder / "model"):
        if (candidate / "modules.json").is_file() or (candidate / "config.json").is_file():
            return str(candidate)
    raise EncoderError(f"the package {package!r} holds no model: there is no config.json in {folder} or in its 'model'")
