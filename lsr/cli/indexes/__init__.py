"""Commands that make, change and inspect an index."""
