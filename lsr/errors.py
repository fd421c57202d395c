"""The exceptions: one for each exit code, each message naming the thing, the value, the limit and the remedy."""

from __future__ import annotations


class LsrError(Exception):
    """Something failed for a reason that the message explains; the command exits with `exit_code`."""

    exit_code = 1


class UsageError(LsrError):
    """An argument is out of its range or does not fit the others."""

    exit_code = 2


class BadDocumentError(LsrError):
    """An input document can't be read; the message names file and line."""


class EncoderError(LsrError):
    """An encoder can't be loaded, or doesn't fit the index or the text."""


class IndexMissingError(LsrError):
    """No index stands at the path."""

    exit_code = 3


class IndexDamagedError(LsrError):
    """The index is damaged, foreign, half-written or newer than this program."""

    exit_code = 3


class IndexExistsError(LsrError):
    """An index stands already where a new one is to be made."""


class IndexLockedError(LsrError):
    """Another writer holds the index."""

    exit_code = 4


class MissingExtraError(LsrError):
    """A package of an optional extra isn't installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"this needs the package {package!r}: pip install 'lsr-search[{extra}]'")
