"""Traversals of an inverted index: each returns the k best documents of a query."""
