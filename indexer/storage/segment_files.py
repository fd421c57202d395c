"""Files of a segment that are not arrays, in a module that loads nothing."""

from __future__ import annotations

DOCUMENTS = "documents.arrow"
FIELDS_FILE = "fields.arrow"
ROWS = 1024
"""Rows of a record batch in both, fewer only in the last."""
