"""Origin of ready vectors: the encoder and the settings of the job that wrote them (`lsr encode`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsr.encoders.registry import IDENTITY
from lsr.errors import EncoderError, LsrError
from lsr.indexer.encode.resumable_job import JOB_FILE, read_job, shard_of_job


@dataclass(frozen=True, slots=True)
class VectorsOrigin:
    """Job that wrote vectors. place: its file. encoder: description. passages: settings, None where there are none."""

    place: Path
    encoder: Mapping[str, Any]
    passages: Mapping[str, int] | None

    def check(self, encoder: Mapping[str, Any], who: str) -> None:
        """Raise EncoderError for another encoder, or one with other settings. who: what has it, for the message."""
        for key in IDENTITY:
            ours, theirs = self.encoder.get(key), encoder.get(key)
            if ours == theirs:
                continue
            if key == "settings" and isinstance(ours, Mapping) and isinstance(theirs, Mapping):
                key, ours, theirs = _difference(ours, theirs)
            raise EncoderError(
                f"the vectors were encoded by {self.encoder.get('name')!r} with {key} {ours!r:.80} ({self.place}), but "
                f"{who} has {theirs!r:.80}: give the same, or encode again"
            )


def origin_of(files: Sequence[str | Path]) -> VectorsOrigin | None:
    """Return the job that wrote all these files of vectors, None where one is of no job.

    Raises EncoderError for files of jobs with different encoders, LsrError for a job that can't be read.
    """
    found: VectorsOrigin | None = None
    for file in map(Path, files):
        if not shard_of_job(file):
            return None
        place = file.parent / JOB_FILE
        if found is not None and found.place == place:
            continue
        job = read_job(place)
        one = VectorsOrigin(place, job["encoder"], job["settings"].get("passages"))
        if found is not None:
            found.check(one.encoder, str(place))
        found = found or one
    return found


def _difference(ours: Mapping[str, Any], theirs: Mapping[str, Any], before: str = "") -> tuple[str, Any, Any]:
    """Return the first setting that differs, with both values."""
    for key in dict.fromkeys((*ours, *theirs)):
        one, other = ours.get(key), theirs.get(key)
        if one == other:
            continue
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            return _difference(one, other, f"{before}{key}.")
        return before + key, one, other
    raise LsrError("settings that are the same were compared as others")
