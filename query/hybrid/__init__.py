"""Hybrid search: what sparse vectors find, and what dense vectors or a slower model say of it, in one ranking."""
