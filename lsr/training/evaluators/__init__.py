"""Evaluations during a training beside those of BEIR folders, each kind in its own module."""
