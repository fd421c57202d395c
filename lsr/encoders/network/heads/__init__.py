"""Heads, which score terms from a transformer's hidden states, one a module."""
