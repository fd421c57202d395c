"""Errors of reading an index: damage, or a lack of files and memory, which is none."""

from __future__ import annotations

import errno

from lsr.errors import IndexDamagedError, LsrError

REMEDY = "restore it from a copy, or index again with --overwrite"
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE)


class OutOfResourcesError(LsrError):
    """A lack of file descriptors or memory. What was to be read may be sound."""


def lack_of(error: BaseException, where: object) -> OutOfResourcesError | None:
    """Return the error for a lack of file descriptors or memory, None where another error is the cause."""
    code = error.errno if isinstance(error, OSError) else None
    if code in _OUT_OF_FILES:
        return OutOfResourcesError(
            f"{where}: can't be opened: too many files are open; close indexes that are no longer used, or raise the "
            "limit (ulimit -n)"
        )
    if code == errno.ENOMEM or isinstance(error, MemoryError):
        return OutOfResourcesError(f"{where}: can't be read: not enough memory; close other programs")
    return None


def unreadable(
    error: BaseException, where: object, *, remedy: str = REMEDY, what: str = "can't be read"
) -> LsrError:  # fmt: skip
    """Return the error for a file that can't be read or understood: damage, unless files or memory are lacking."""
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return lack_of(error, where) or IndexDamagedError(f"{where}: {what} ({reason}); {remedy}")
