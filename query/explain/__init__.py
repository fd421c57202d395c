"""Explanation of a score, term by term, and snippets of the text."""
