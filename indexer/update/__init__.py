"""Changing an index: additions, replacements, deletions and merges as transactions."""
