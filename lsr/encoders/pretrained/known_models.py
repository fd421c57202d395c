"""Models that a user has loaded by name, so that an index may lead to them, and to no others.

An index may come from anybody: by a download, a clone, a share. Its manifest names the model that encodes its queries,
and opening a model by a name means to read files of that path, or to ask the hub for it. So a recorded model is opened
only if it is bundled, or if this user has loaded that very model (its name and revision) before. An empty file in the
user's cache, named by a digest of both, says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsr.encoders.pretrained.hub import bundled
from lsr.errors import EncoderError
from lsr.io.own_notes import is_noted, note

_SUBJECT = "known-models"


def remember(name: str, revision: str) -> None:
    """Record that this user has loaded a model. A cache that can't be written to records nothing."""
    if bundled(name) is None:
        note(_SUBJECT, name, revision)


def is_known(name: str, revision: str) -> bool:
    """Return whether a model is bundled, or was loaded by this user in this revision."""
    return bundled(name) is not None or is_noted(_SUBJECT, name, revision)


def recorded_place(
    description: Mapping[str, Any], moved_to: str | Path | None, option: str
) -> tuple[str | Path, str | None]:
    """Return where the model of a description is, and the revision to ask the hub for (None for a folder).

    moved_to: the place that the user names. option: of the command line, which names it. Raises EncoderError, before
    anything is opened, for a model that this user hasn't loaded before, and for a folder that is gone.
    """
    name, revision = str(description["name"]), str(description["revision"])
    of_hub = None if revision.startswith("sha256:") else revision
    if moved_to is not None:
        return moved_to, of_hub if str(moved_to) == name else None
    refuse_unknown(name, revision, "model", option)
    if Path(name).is_absolute() and not Path(name).is_dir():
        raise EncoderError(
            f"the index was made with the model in {name}, which isn't there any more: say with {option} where it is "
            "now; what it holds is compared"
        )
    return name, of_hub


def refuse_unknown(name: str, revision: str, what: str, option: str) -> None:
    """Raise EncoderError, naming the remedy, for a model that this user hasn't loaded. what: a word for it."""
    if not is_known(name, revision):
        raise EncoderError(
            f"the index names the {what} {name!r:.200}, revision {revision!r:.20}, which you haven't loaded before, "
            f"and an index from elsewhere may name anything: if you trust it, name it yourself once, by {option}"
        )
