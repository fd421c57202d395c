"""Teachers, which score documents for queries, so that a student can learn from them."""
