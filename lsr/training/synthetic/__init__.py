"""Queries made from documents that have none."""
