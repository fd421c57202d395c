"""Synthetic queries, generated from documents."""
