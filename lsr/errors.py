"""The exceptions: one for each exit code, each message naming the thing, the value, the limit and the remedy."""

from __future__ import annotations

COMMITTED = "what was committed before is kept"
"""Note on an exception that ended a change of an index after one of its commits."""


class LsrError(Exception):
    """A failure whose message says what is wrong and what to do about it.

    All errors of this library are of this class or of one below it; a command ends with its `exit_code`.

    Example:
        >>> import lsr
        >>> try:
        ...     lsr.open("no-such-folder")
        ... except lsr.LsrError as error:
        ...     print(type(error).__name__)
        IndexMissingError
    """

    exit_code = 1


class UsageError(LsrError):
    """An argument of a wrong type, out of its range, or at odds with another."""

    exit_code = 2


class BadDocumentError(LsrError):
    """A document that can't be read; the message names its place."""


class EncoderError(LsrError):
    """An encoder that can't be loaded, or doesn't fit the index or the text."""


class IndexMissingError(LsrError):
    """A path without an index."""

    exit_code = 3


class IndexDamagedError(LsrError):
    """An index that is damaged, foreign, half-written, or newer than this program."""

    exit_code = 3


class ShardLostError(LsrError):
    """A search that shards of a set didn't answer: dead, silent for longer than the timeout, missing or damaged.

    reasons: what each of the shards said, by its name.
    """

    exit_code = 3

    def __init__(self, message: str, reasons: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.reasons = reasons or {}


class ShardDamagedError(ShardLostError, IndexDamagedError):
    """A search that shards of a set didn't answer since they are damaged or missing."""


class IndexExistsError(LsrError):
    """An index at the path where a new one would be made."""


class IndexLockedError(LsrError):
    """An index that another writer holds."""

    exit_code = 4


class DeadlineError(LsrError):
    """A search that was ended between two stages, since its time was over."""


class ClusterError(LsrError):
    """A cluster that doesn't answer, or whose workers can't do what they are asked to."""


class MissingExtraError(LsrError):
    """A package of an optional extra that isn't installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"this needs the package {package!r}: pip install 'lsr-search[{extra}]'")
