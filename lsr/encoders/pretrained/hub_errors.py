"""Errors of the Hugging Face hub's library, and of the client below it, as one line."""

from __future__ import annotations

_PACKAGES = ("huggingface_hub", "httpx", "httpcore", "requests", "urllib3", "datasets")


def is_of_hub(error: Exception) -> bool:
    """Return whether an error is of the hub, of the network, or of the disk, and not of this program."""
    package = type(error).__module__.partition(".")[0]
    return isinstance(error, OSError) or package.startswith(_PACKAGES)


def reason_of(error: Exception) -> str:
    """Return the first line of an error, at most 200 characters; its name where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
