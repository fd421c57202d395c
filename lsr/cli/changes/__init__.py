"""Commands that change the documents of an index."""
