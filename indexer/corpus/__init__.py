"""Readers: files and folders to a stream of documents."""
