"""Documents as a model reads them: whole in passages, or cut at what it reads; with counts of their tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from lsr.encoders.text.splitter import PassageSplitter, ReadsTokens, choose_splitter
from lsr.encoders.text.token_count import TokenCount
from lsr.errors import UsageError
from lsr.types import Document

if TYPE_CHECKING:
    from lsr.encoders.base import Encoder
    from lsr.encoders.dense.base import DenseEncoder


class DocumentReader:
    """Cuts long documents into passages, or leaves them to be cut at what a model reads, and counts their tokens.

    splitter: knows what the model reads. passages: whether documents are cut into passages. unit: of what is counted.
    count: of the documents read last.
    """

    def __init__(self, splitter: PassageSplitter, *, passages: bool = True, unit: str = "token") -> None:
        self._splitter = splitter
        self._passages = passages
        self._unit = unit
        self.count = TokenCount()

    @property
    def settings(self) -> Mapping[str, int] | None:
        """The settings of the passages as an index records them; None where there are none."""
        return self._splitter.settings if self._passages else None

    def read(self, documents: Iterable[Document]) -> Iterator[Document]:
        """Yield the documents, or their passages; the count begins again."""
        count = self.count = TokenCount()
        for document in documents:
            if self._passages:
                yield from self._splitter.split(document, count)
            else:
                self._splitter.measure(document, count)
                yield document

    def summary(self) -> list[str]:
        """Return a line that says how many tokens of how many documents were read; none where all were short."""
        count, unit = self.count, self._unit
        if count.longer == 0:
            return []
        of_all = f"{count.documents:,} document{'' if count.documents == 1 else 's'}"
        length = f"{self._splitter.settings['max_length']:,} {unit}s"
        if self._passages:
            longer = (
                f"{count.longer:,} longer than {length}, in passages: {count.pieces - count.documents:,} more texts"
            )
            return [f"read all {count.tokens:,} {unit}s of {of_all}, {longer}"]
        about = "about " if count.estimated else ""
        share = f"{100 * count.read / count.tokens:.0f} %"
        limited = f"{count.longer:,} of them to the limit of {length} only; --passages reads them whole"
        return [f"read {count.read:,} of {about}{count.tokens:,} {unit}s ({share}) of {of_all}, {limited}"]


def reader_for(
    encoder: Encoder,
    dense: DenseEncoder | None = None,
    *,
    passages: bool | None = None,
    overlap: int | None = None,
    max_length: int | None = None,
    behind: int = 0,
) -> DocumentReader | None:
    """Return the reader of documents for encoders, None where they are read whole as they are.

    passages: whether long documents are cut into passages (default: where a model reads a limited number of tokens).
    overlap, max_length: as of `choose_splitter`. behind: tokens that are read behind each text, for which passages
    leave room, half of what a model reads at most. Raises UsageError for these without passages, or out of their range.
    """
    each: tuple[object, ...] = (encoder, dense)
    has_window = any(isinstance(one, ReadsTokens) and one.text_length is not None for one in each)
    unit = "token" if has_window else "word"
    if passages:
        if behind and has_window and max_length is None:
            max_length = _shortened(each, behind)
        return DocumentReader(choose_splitter(encoder, dense, overlap=overlap, max_length=max_length), unit=unit)
    settings_given = overlap is not None or max_length is not None
    if settings_given and (passages is False or not has_window):
        raise UsageError("--overlap and --passage-length go with --passages")
    if not has_window:
        return None
    if behind and passages is None and max_length is None:
        max_length = _shortened(each, behind)
    try:
        splitter = choose_splitter(encoder, dense, overlap=overlap, max_length=max_length)
    except UsageError:
        if settings_given:
            raise
        return None  # a model that reads too little for passages
    return DocumentReader(splitter, passages=passages is None, unit=unit)


def _shortened(encoders: tuple[object, ...], behind: int) -> int:
    """Return the length of passages behind which other tokens are read."""
    limits = [one.text_length for one in encoders if isinstance(one, ReadsTokens) and one.text_length is not None]
    least = min(limits)
    return max(least - behind, (least + 1) // 2)
