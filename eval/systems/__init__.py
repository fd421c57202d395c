"""Systems under evaluation: each searches a dataset and returns a run."""
