"""The filter language: parsed, compiled to bitmaps of documents, cached."""
