"""Expansions of documents: texts that encoders read behind the documents' own."""
