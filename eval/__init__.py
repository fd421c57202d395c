"""Evaluation: datasets, runs, measures."""
