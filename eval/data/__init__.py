"""Test collections: BEIR folders, queries, judgements, runs, and their download."""
