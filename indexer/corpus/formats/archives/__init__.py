"""Readers of archives: ZIP and tar."""
