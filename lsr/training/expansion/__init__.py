"""Expansion of documents by generated queries."""
