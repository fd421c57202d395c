"""Tuning of an index's hybrid search to its own documents, by made or judged queries."""
