"""Measures of a run, significance of differences, and costs."""
