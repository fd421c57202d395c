"""Models and indexes on a Hugging Face hub: pushed as repositories, pulled as folders.

A model is a repository of models, its files as they are; an index is a repository of datasets with one file, which
`lsr export` would write. Nothing is loaded, and what comes is verified: files that could run code stay there.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsr.encoders.pretrained.hub_errors import is_of_hub, reason_of
from lsr.errors import LsrError, MissingExtraError, UsageError
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.transfer.archive import export_index, import_index
from lsr.io.cache import expanded

MODEL, INDEX = "model", "index"
INDEX_FILE = "index.lsr"
CARD = "README.md"
_REPO_TYPES = {MODEL: "model", INDEX: "dataset"}
_MODEL_FILES = ("lsr_encoder.json", "lsr_export.json", "modules.json", "config.json", "codes.json", "lsr_static.json")
_NEVER = [
    "*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.py", "*.pyc", "*.h5", "*.msgpack", "*.so", ".*",
    "**/.*",
]  # fmt: skip
"""Files that are neither pushed nor pulled: code, what may hold code, hidden ones."""
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+", re.ASCII)
_INDEX_CARD = """\
---
tags:
- lsr-index
library_name: lsr-search
---

# {name}

An index of lsr-search: {documents:,} documents, encoder `{encoder}`.

    lsr pull {name} my-index
    lsr search "a query" --index my-index
"""


@dataclass(frozen=True, slots=True)
class Transferred:
    """A transfer that is done. kind: MODEL or INDEX. place: the repository's address, or the folder."""

    kind: str
    place: str
    n_files: int
    size_bytes: int


def push(
    path: str | Path, name: str, *, private: bool = False, revision: str | None = None, endpoint: str | None = None
) -> Transferred:
    """Push a model's folder or an index to a hub, as owner/name, which is made if it isn't there.

    private: of a repository that is made. revision: branch (default: main). endpoint: address of the hub (default:
    $HF_ENDPOINT, or huggingface.co). Raises UsageError for a name or folder that is neither, LsrError where the hub
    refuses or can't be reached.
    """
    folder = expanded(path)
    _check_name(name)
    kind = kind_of(folder)
    api = _api(endpoint)
    with tempfile.TemporaryDirectory(prefix="lsr-push-") as made:
        source = folder if kind == MODEL else _exported(folder, Path(made), name)
        files = [file for file in sorted(source.rglob("*")) if file.is_file() and not file.match(".*")]
        with _hub_errors(f"{name} can't be pushed"):
            api.create_repo(name, repo_type=_REPO_TYPES[kind], private=private, exist_ok=True)
            done = api.upload_folder(
                folder_path=str(source), repo_id=name, repo_type=_REPO_TYPES[kind], revision=revision,
                ignore_patterns=_NEVER, commit_message=f"Push {kind} by lsr-search",
            )  # fmt: skip
    kept = [file for file in files if not _is_never(file)]
    size = sum(file.stat().st_size for file in kept) if kind == MODEL else 0
    return Transferred(kind, str(getattr(done, "repo_url", None) or name), len(kept), size)


def pull(
    name: str,
    target: str | Path,
    *,
    revision: str | None = None,
    overwrite: bool = False,
    endpoint: str | None = None,
) -> Transferred:
    """Pull a model or an index, owner/name on a hub, into a new folder.

    revision: commit, branch or tag. overwrite: replace what `push` or `pull` wrote there. endpoint: as of `push`.
    Raises LsrError where there is no such repository, or it holds neither, or the folder is something else.
    """
    from huggingface_hub.errors import RepositoryNotFoundError

    _check_name(name)
    folder = expanded(target)
    api = _api(endpoint)
    with _hub_errors(f"{name} can't be pulled"):
        try:
            files = api.list_repo_files(name, repo_type=_REPO_TYPES[MODEL], revision=revision)
            kind = MODEL
        except RepositoryNotFoundError:
            files = api.list_repo_files(name, repo_type=_REPO_TYPES[INDEX], revision=revision)
            kind = INDEX
    wanted = _MODEL_FILES if kind == MODEL else (INDEX_FILE,)
    if not set(files) & set(wanted):
        raise LsrError(f"{name}: no {kind}: it holds none of {', '.join(wanted)}")
    if kind == INDEX:
        return _pull_index(api, name, folder, revision, overwrite)
    return _pull_model(api, name, folder, revision, overwrite)


def kind_of(folder: Path) -> str:
    """Return what a folder holds, MODEL or INDEX. Raises UsageError where it is neither."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder: name a model's, or an index")
    if any((folder / name).is_file() for name in _MODEL_FILES):
        return MODEL
    try:
        with StoredIndex.open(folder):
            return INDEX
    except LsrError as error:
        raise UsageError(f"{folder} is neither a model ({', '.join(_MODEL_FILES)}) nor an index: {error}") from error


def _exported(index: Path, made: Path, name: str) -> Path:
    manifest = export_index(index, made / INDEX_FILE)
    encoder = str(manifest.encoder.get("name", "")).replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    card = _INDEX_CARD.format(name=name, documents=manifest.n_docs, encoder=encoder)
    (made / CARD).write_text(card, encoding="utf-8")
    return made


def _pull_index(api: Any, name: str, folder: Path, revision: str | None, overwrite: bool) -> Transferred:
    with tempfile.TemporaryDirectory(prefix="lsr-pull-") as made:
        with _hub_errors(f"{name} can't be pulled"):
            file = api.hf_hub_download(
                name, INDEX_FILE, repo_type=_REPO_TYPES[INDEX], revision=revision, local_dir=made
            )
        size = Path(file).stat().st_size
        import_index(Path(file), folder, overwrite=overwrite)
    return Transferred(INDEX, str(folder), 1, size)


def _pull_model(api: Any, name: str, folder: Path, revision: str | None, overwrite: bool) -> Transferred:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: name a folder")
    if folder.is_dir() and any(folder.iterdir()):
        if not overwrite:
            raise UsageError(f"{folder} is not empty: give another folder, or --overwrite")
        if kind_of(folder) != MODEL:
            raise UsageError(f"{folder} holds something else than a model: it isn't overwritten; give another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as made:
        place = Path(made) / "model"
        with _hub_errors(f"{name} can't be pulled"):
            api.snapshot_download(name, revision=revision, local_dir=str(place), ignore_patterns=_NEVER)
        shutil.rmtree(place / ".cache", ignore_errors=True)  # the library's notes
        files = [file for file in place.rglob("*") if file.is_file()]
        size = sum(file.stat().st_size for file in files)
        if folder.is_dir():
            shutil.rmtree(folder)
        place.rename(folder)
    return Transferred(MODEL, str(folder), len(files), size)


def _is_never(file: Path) -> bool:
    return file.name.startswith(".") or any(file.match(pattern) for pattern in _NEVER)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name on a hub: expected owner/name")


def _api(endpoint: str | None) -> Any:
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise MissingExtraError("huggingface-hub", "data") from error
    return HfApi(endpoint=endpoint)


@contextmanager
def _hub_errors(what: str) -> Iterator[None]:
    """Turn errors of the hub's library into one line with the remedy."""
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        yield
    except RepositoryNotFoundError as error:
        raise LsrError(f"{what}: there is no such repository, or you may not see it: hf auth login") from error
    except RevisionNotFoundError as error:
        raise LsrError(f"{what}: there is no such revision") from error
    except HfHubHTTPError as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        remedy = ": hf auth login, with a token that may write" if status in (401, 403) else ""
        raise LsrError(f"{what}: {reason_of(error)}{remedy}") from error
    except Exception as error:
        if not is_of_hub(error) and not isinstance(error, (ValueError, RuntimeError)):
            raise
        raise LsrError(f"{what}: {reason_of(error)}") from error
