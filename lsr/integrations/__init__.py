"""Retrievers for other frameworks, each a module that imports its framework when it is imported itself."""
