"""Rerankers that read the candidates of a search."""
