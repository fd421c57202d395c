"""Expansions of documents: texts that encoders read behind a document's own, and their files."""
