"""Results and errors of work on a cluster as JSON, so that nothing that comes back is unpickled."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import lsr.errors
from lsr.errors import LsrError


def said(work: Callable[[], Any]) -> str:
    """Do work, and return its result, or the error of this library that it ended with, as JSON."""
    try:
        return json.dumps({"result": work()})
    except LsrError as error:
        kind = next(one.__name__ for one in type(error).__mro__ if hasattr(lsr.errors, one.__name__))
        return json.dumps({"kind": kind, "error": str(error)})


def result_of(text: str) -> Any:
    """Return the result that a reply says. Raises the error that it says."""
    reply = json.loads(text)
    if "error" in reply:
        kind = getattr(lsr.errors, reply["kind"], LsrError)
        if kind in (lsr.errors.MissingExtraError,):
            kind = LsrError
        raise kind(reply["error"])
    return reply["result"]
