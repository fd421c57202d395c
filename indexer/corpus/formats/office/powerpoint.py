"""PowerPoint presentations, one document a file, by python-pptx."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lsr.indexer.corpus.file_format import FileFormat, SourceFile
from lsr.indexer.corpus.formats.office.zipped import read_office
from lsr.indexer.corpus.intake import Intake, MissingLibraryError
from lsr.indexer.corpus.whole_files import Parts
from lsr.types import Document

SLIDE_END = "\f"
"""Character between the texts of two slides."""


def read_powerpoint(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
    """Yield the document that a presentation is."""
    try:
        import pptx
    except ImportError:
        raise MissingLibraryError("python-pptx") from None
    yield from read_office(source, intake, "PowerPoint", lambda file: _parts(pptx.Presentation(file)))


def _parts(presentation: Any) -> Parts:
    slides, heading = [], ""
    for slide in presentation.slides:
        lines = [text for shape in slide.shapes for text in _texts(shape)]
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            lines.append(slide.notes_slide.notes_text_frame.text)
        title = slide.shapes.title
        heading = heading or ("" if title is None else title.text_frame.text.strip())
        slides.append("\n".join(line for line in lines if line.strip()))
    about = presentation.core_properties
    fields = {"slides": len(slides)} | ({"author": about.author} if about.author else {})
    own = (about.title or "").strip()
    title = heading if own in ("", "PowerPoint Presentation") else own
    return Parts(title, SLIDE_END.join(slides), fields)


def _texts(shape: Any) -> Iterator[str]:
    """Yield the texts of a shape, of the cells of its table or of the shapes that it groups."""
    pending = [shape]
    while pending:
        current = pending.pop()
        if hasattr(current, "shapes"):
            pending.extend(reversed(list(current.shapes)))
        elif getattr(current, "has_table", False):
            yield from (" ".join(cell.text for cell in row.cells) for row in current.table.rows)
        elif current.has_text_frame:
            yield current.text_frame.text


FORMATS = (
    FileFormat(
        "powerpoint",
        (".pptx",),
        read_powerpoint,
        title="the title of its properties, else that of the first slide",
        text="the texts of its slides with their notes, a form feed between two",
        fields="`author`, `slides`",
        unit="slide",
        library="pptx",
    ),
)
