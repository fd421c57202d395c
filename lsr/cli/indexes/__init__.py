"""Commands that make and inspect an index."""
